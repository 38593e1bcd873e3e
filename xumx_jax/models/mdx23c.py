"""MDX23C: a U-Net over spectra with dense layers along frequency ("TFC-TDF v3").

Kim et al. 2023, "Sound Demixing Challenge 2023 Music Demixing Track Technical Report: TFC-TDF-UNet
v3" (kuielab/sdx23), as ZFTurbo's and UVR's programs have it.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.tfc_tdf import ACTS, Block, Down, Options, Up, check_norm
from xumx_jax.models.interface import Segment, check
from xumx_jax.models.scales import whole_scales
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft


class Mdx23c(nn.Module):
    """Separate a mixture: the spectrum of each source, mapped from that of the mixture.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    n_fft, hop   of the transform, in samples
    bins         that the network sees and makes; those above are silent
    frames       of a usual chunk
    features     after the first layer, and `growth` more after each scale
    scales       number of scales; frames and bins are divided by `scale` after each
    blocks       on each scale
    bottleneck   by which the dense layers along frequency are narrower inside
    subbands     into which the bins are cut, that lie beside each other as channels
    norm         "instance", "batch", "none", or the number of groups of group normalisation
    act          "gelu", "relu", "elu"; `alpha` is the latter's
    axis_name    of devices that share the statistics of a batch in training
    """

    sources: tuple[str, ...] = ("vocals", "instrumental")
    sample_rate: int = 44100
    channels: int = 2
    n_fft: int = 8192
    hop: int = 1024
    bins: int = 4096
    frames: int = 256
    features: int = 128
    growth: int = 128
    scales: int = 5
    scale: tuple[int, int] = (2, 2)
    blocks: int = 2
    bottleneck: int = 4
    subbands: int = 4
    norm: str = "instance"
    act: str = "gelu"
    alpha: float = 1.0
    axis_name: str | None = None
    autocast = True
    usual_speed = {"cpu": 0.3}
    checkpointed_layers = (Block,)
    protocol = "msst"
    audio_separator = "mdx23c"
    source_outputs = {"last/(kernel|bias)": -1}

    def __post_init__(self):
        check(self)
        if self.act not in ACTS:
            raise ValueError(f"act {self.act!r}: wanted one of {', '.join(ACTS)}")
        check_norm(self.norm)
        across, along = self.scale[1] ** self.scales, self.scale[0] ** self.scales
        if self.bins % (self.subbands * across) or not 0 < self.bins <= self.transform.bins:
            raise ValueError(
                f"bins {self.bins}: wanted a multiple of {self.subbands * across}, up to "
                f"{self.transform.bins}"
            )
        if self.bins // self.subbands // across < self.bottleneck:
            raise ValueError(f"bottleneck {self.bottleneck}: wanted at most the bins that are left")
        if self.frames % along:
            raise ValueError(f"frames {self.frames}: wanted a multiple of {along}")
        super().__post_init__()

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop)

    @property
    def segment(self) -> Segment:
        """Lengths whose frames can be divided at every scale."""
        return whole_scales(self.hop, self.frames, self.scale[0] ** self.scales)

    @nn.compact
    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems; `spec` is that of `wave`.

        The length is one that `segment.fit` gives.
        """
        spec = self.transform.forward_frames(mix, axis=-3)[..., : self.bins]
        batch, frames, channels, _ = spec.shape
        parts = jnp.stack([spec.real, spec.imag], axis=3)  # [batch, frame, channel, part, bin]
        x = self._cut(parts.reshape(batch, frames, 2 * channels, self.bins))
        y = self._network(x, train)
        y = self._joined(y).reshape(batch, frames, len(self.sources), channels, 2, self.bins)
        y = y.transpose(4, 0, 2, 3, 1, 5)
        missing = self.transform.bins - self.bins
        found = jnp.pad(lax.complex(y[0], y[1]), [(0, 0)] * 4 + [(0, missing)])
        return Stems(self.transform.inverse_frames(found), (found.swapaxes(-1, -2),))

    def _cut(self, x: Array) -> Array:
        """[batch, frame, channel, bin] -> [batch, frame, bin of a band, channel * band]."""
        *shape, channels, bins = x.shape
        bands = x.reshape(*shape, channels, self.subbands, bins // self.subbands)
        return jnp.moveaxis(bands, -1, -3).reshape(*shape, -1, channels * self.subbands)

    def _joined(self, x: Array) -> Array:
        """The inverse of `_cut`."""
        *shape, bins, channels = x.shape
        bands = x.reshape(*shape, bins, channels // self.subbands, self.subbands)
        return jnp.moveaxis(bands, -3, -1).reshape(*shape, channels // self.subbands, -1)

    def _network(self, mix: Array, train: bool) -> Array:
        """[batch, frame, bin, channel] of all bands -> the same for every source."""
        options = Options(self.norm, self.act, self.alpha, self.axis_name)
        features, skips = self.features, []

        def blocks(x, features, place):
            for number in range(self.blocks):
                name = f"{place}_block_{number}"
                x = Block(features, self.bottleneck, options, name=name)(x, train)
            return x

        x = first = Conv(features, 1, bias=False, name="first")(mix)
        for scale in range(self.scales):
            x = blocks(x, features, f"encoder_{scale}")
            skips.append(x)
            features += self.growth
            x = Down(features, self.scale, options, name=f"down_{scale}")(x, train)
        x = blocks(x, features, "bottleneck")
        for scale in reversed(range(self.scales)):
            features -= self.growth
            x = Up(features, self.scale, options, name=f"up_{scale}")(x, train)
            x = jnp.concatenate([x, skips.pop()], axis=-1)
            x = blocks(x, features, f"decoder_{scale}")
        x = jnp.concatenate([mix, x * first], axis=-1)
        x = options.activate(Conv(features, 1, bias=False, name="wide")(x))
        return Conv(len(self.sources) * mix.shape[-1], 1, bias=False, name="last")(x)
