"""MDX-Net: a U-Net over spectra whose levels are multiplied ("TFC-TDF" v1 and v2, ConvTDFNet).

Kim et al. 2021, "KUIELab-MDX-Net: A Two-Stream Neural Network for Music Demixing"; the network that
UVR's .onnx files hold. Batch normalisation is part of the weights, as in those files. Spectra are
[batch, frame, bin, channel].
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.cells import down, up
from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.dense import along
from xumx_jax.layers.initializers import symmetric
from xumx_jax.layers.standardize import with_peak
from xumx_jax.models.interface import Segment, check
from xumx_jax.models.scales import whole_scales
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

LOUDEST = 0.9  # peak of a track
SILENT_BINS = 3  # the lowest, which the network never sees
STRIDE = 2


class Block(nn.Module):
    """Convolutions over frames and bins, and what a narrow pair of dense layers adds to them."""

    layers: int
    taps: int
    bottleneck: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels, bins = x.shape[-1], x.shape[-2]
        for number in range(self.layers):
            taps, side = (self.taps, self.taps), self.taps // 2
            x = jnn.relu(Conv(channels, taps, padding=side, name=f"conv_{number}")(x))
        y, inner = x, bins // self.bottleneck
        for number, (inputs, outputs) in enumerate(((bins, inner), (inner, bins))):
            kernel = self.param(f"dense_{number}", symmetric(inputs**-0.5), (inputs, outputs))
            scale = self.param(f"scale_{number}", nn.initializers.ones, (channels,))
            shift = self.param(f"shift_{number}", nn.initializers.zeros, (channels,))
            y = along(y, kernel)
            y = jnn.relu(y * scale + shift)
        return x + y


class MdxNet(nn.Module):
    """Separate a mixture: the spectrum of each source, mapped from that of the mixture.

    sources      names, in the order of the source axis; published weights have one
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    n_fft, hop   of the transform, in samples
    bins         that the network sees and makes; those above are silent
    frames       of a usual chunk
    features     after the first layer, and as many more after each scale
    scales       number of scales; frames and bins are halved after each
    layers, taps of the convolutions of a block
    bottleneck   by which the dense layers along frequency are narrower inside
    residual_gain   with which stems are taken from the mixture; UVR calls it "compensate"
    """

    sources: tuple[str, ...] = ("vocals",)
    sample_rate: int = 44100
    channels: int = 2
    n_fft: int = 6144
    hop: int = 1024
    bins: int = 2048
    frames: int = 256
    features: int = 32
    scales: int = 5
    layers: int = 3
    taps: int = 3
    bottleneck: int = 8
    residual_gain: float = 1.0
    usual_speed = {"cpu": 1.0}
    checkpointed_layers = (Block,)
    normalization = "peak"
    protocol = "audio-separator"
    audio_separator = "mdxnet"
    autocast = True
    source_outputs = {"last/(kernel|bias)": -1}

    def __post_init__(self):
        check(self)
        multiple = STRIDE**self.scales
        if self.bins % multiple or not 0 < self.bins <= self.transform.bins:
            raise ValueError(
                f"bins {self.bins}: wanted a multiple of {multiple}, up to {self.transform.bins}"
            )
        if self.bins // multiple < self.bottleneck:
            raise ValueError(f"bottleneck {self.bottleneck}: wanted at most the bins that are left")
        if self.frames % multiple:
            raise ValueError(f"frames {self.frames}: wanted a multiple of {multiple}")
        super().__post_init__()

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop)

    @property
    def segment(self) -> Segment:
        """Lengths whose frames can be halved at every scale."""
        return whole_scales(self.hop, self.frames, STRIDE**self.scales)

    def __call__(self, mix: Array, train: bool = False, statistics: Array | None = None) -> Stems:
        """Separate [batch, channel, time] into Stems; `spec` is that of `wave`.

        The length is one that `segment.fit` gives. `statistics`, []: the whole track's peak.
        """
        found = with_peak(self._frames, mix, statistics, LOUDEST)
        return Stems(self.transform.inverse_frames(found), (found.swapaxes(-1, -2),))

    def _frames(self, mix: Array) -> Array:
        """[batch, channel, time] -> spectra [batch, source, channel, frame, bin]."""
        spec = self.transform.forward_frames(mix, axis=-3)[..., : self.bins]
        batch, frames, channels, bins = spec.shape
        parts = jnp.stack([spec.real, spec.imag], axis=3).reshape(batch, frames, -1, bins)
        heard = jnp.arange(bins) >= SILENT_BINS
        y = self.network((parts * heard).swapaxes(-1, -2))
        y = y.reshape(batch, frames, bins, len(self.sources), channels, 2)
        y = y.transpose(5, 0, 3, 4, 1, 2)
        above = [(0, 0)] * 4 + [(0, self.transform.bins - bins)]
        return jnp.pad(lax.complex(y[0], y[1]), above)

    @nn.compact
    def network(self, x: Array) -> Array:
        """[batch, frame, bin, channel * part] -> the same, of every source."""
        outputs, features, skips = len(self.sources) * x.shape[-1], self.features, []

        def block(x, name):
            return Block(self.layers, self.taps, self.bottleneck, name=name)(x)

        x = jnn.relu(Conv(features, 1, name="first")(x))
        for scale in range(self.scales):
            x = block(x, f"encoder_{scale}")
            skips.append(x)
            features += self.features
            x = jnn.relu(self._resized(f"down_{scale}", x, features, down))
        x = block(x, "bottleneck")
        for scale in reversed(range(self.scales)):
            features -= self.features
            x = jnn.relu(self._resized(f"up_{scale}", x, features, up)) * skips.pop()
            x = block(x, f"decoder_{scale}")
        return Conv(outputs, 1, name="last")(x)

    def _resized(self, name: str, x: Array, features: int, how) -> Array:
        cells, channels = STRIDE**2, x.shape[-1]
        shape = (cells * channels, features) if how is down else (channels, cells * features)
        kernel = self.param(f"{name}_kernel", symmetric(shape[0] ** -0.5), shape)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (features,))
        return how(x, kernel, (STRIDE, STRIDE)) + bias
