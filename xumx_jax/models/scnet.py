"""SCNet: high bands are thinned out, and LSTMs see frames and their Fourier transform in turns.

Tong et al. 2024, "SCNet: Sparse Compression Network for Music Source Separation" (by starrytong),
and the variants of ZFTurbo's program: without normalisation inside, and with masks.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.convolution import Conv
from xumx_jax.layers.dconv import gelu
from xumx_jax.layers.sparse_bands import Compress, DualPath, Expand, bands_of
from xumx_jax.layers.standardize import standardize, with_statistics
from xumx_jax.models.interface import Segment, check
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

SEGMENT_SECONDS = 11.0
MASK_FEATURES = 64


class SCNet(nn.Module):
    """Separate a mixture: the spectrum of each source, or (`masked`) a bounded factor of each bin.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    n_fft, hop, window   of the transform, in samples; window None: n_fft
    normalized   whether spectra are scaled by n_fft ** -0.5
    features     behind each layer of the encoder
    shares       of the bins that the low, the middle and the high band have
    strides, taps   of their convolutions along the bins
    depths       of their residual layers along the frames
    compress     by which these have fewer channels inside
    frame_taps   of their kernels
    pairs        of LSTMs, of which every other one sees the Fourier transform of the frames
    expand       units of the LSTMs, in channels
    standardized spectra are standardised inside, as in the original
    standardized_track   the waveform is, by mean and deviation of the whole track; ZFTurbo's
                 program calls it "normalize"
    masked       with a position for each bin, and a window that is not flat
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    channels: int = 2
    n_fft: int = 4096
    hop: int = 1024
    window: int | None = None
    normalized: bool = True
    features: tuple[int, ...] = (32, 64, 128)
    shares: tuple[float, ...] = (0.175, 0.392, 0.433)
    strides: tuple[int, ...] = (1, 4, 16)
    taps: tuple[int, ...] = (3, 4, 16)
    depths: tuple[int, ...] = (3, 2, 1)
    compress: int = 4
    frame_taps: int = 3
    pairs: int = 6
    expand: int = 1
    standardized: bool = False
    standardized_track: bool = False
    masked: bool = False
    autocast = True
    usual_speed = {"cpu": 2.0}
    checkpointed_layers = (Compress, DualPath)
    protocol = "msst"
    source_outputs = {
        r"decoder_0/band_\d+/(kernel|bias)": -1, "mask_wide/kernel": -2, "mask/(kernel|bias)": -1,
    }  # fmt: skip

    def __post_init__(self):
        check(self)
        for name in ("shares", "strides", "taps", "depths"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name}: wanted 3 values, for the low, middle and high band")
        if self.pairs % 2:
            raise ValueError(f"pairs {self.pairs}: wanted an even number")
        self._bands()
        super().__post_init__()

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop, flat=not self.masked, window_length=self.window)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 11 s, as in training."""
        return Segment(round(SEGMENT_SECONDS * self.sample_rate), grid=self.hop)

    @property
    def normalization(self) -> str | None:
        return "mean and population deviation" if self.standardized_track else None

    def _bands(self):
        """The bands of each layer, from the outermost on."""
        found, bins = [], self.transform.bins
        for _ in self.features:
            found.append(bands_of(bins, self.shares, self.taps, self.strides))
            bins = sum(band.length for band in found[-1])
        return found

    def __call__(self, mix: Array, train: bool = False, statistics: Array | None = None) -> Stems:
        """Separate [batch, channel, time] into Stems; `spec` is the transform of `wave`.

        `statistics`, [2]: mean and deviation of the whole track.
        """
        wave = with_statistics(self._wave, mix, statistics, offset=0)
        return Stems(wave, self.transform.forward(wave))

    @nn.compact
    def _wave(self, mix: Array) -> Array:
        """[batch, channel, time] -> [batch, source, channel, time]."""
        length = mix.shape[-1]
        more = self.hop - length % self.hop
        if (length + more) // self.hop % 2 == 0:  # an even number of frames, for their transform
            more += self.hop
        padded = jnp.pad(mix, [(0, 0), (0, 0), (0, more)])
        scale = self.n_fft**-0.5 if self.normalized else 1.0
        spec = self.transform.forward_frames(padded, axis=-3) * scale
        batch, frames, channels, bins = spec.shape
        parts = jnp.stack([spec.real, spec.imag], axis=3).reshape(batch, frames, -1, bins)
        x = parts.swapaxes(-1, -2)  # [batch, frame, bin, channel * part]
        if self.masked:
            x = x + self.param("position", nn.initializers.zeros, x.shape[2:])
        mean = spread = None
        if self.standardized:
            x, mean, spread = standardize(x)
        x = self._network(x)
        if mean is not None and spread is not None:
            x = x * spread + mean
        if self.masked:
            x = gelu(Conv(MASK_FEATURES, (3, 3), padding=1, name="mask_wide")(x))
            x = jnp.tanh(Conv(2 * channels * len(self.sources), 1, name="mask")(x))
        y = x.reshape(batch, frames, bins, len(self.sources), channels, 2)
        y = y.transpose(5, 0, 3, 4, 1, 2)  # [part, batch, source, channel, frame, bin]
        found = lax.complex(y[0], y[1])
        if self.masked:
            found = found * spec.swapaxes(1, 2)[:, None]
        return self.transform.inverse_frames(found / scale, length + more)[..., :length]

    def _network(self, x: Array) -> Array:
        """[batch, frame, bin, channel] -> the same, of all sources."""
        layers, skips = list(zip(self.features, self._bands(), strict=True)), []
        for number, (features, bands) in enumerate(layers):
            hidden = int(features / self.compress)
            x, skip = Compress(
                features, bands, self.depths, hidden, self.frame_taps, name=f"encoder_{number}"
            )(x)
            skips.append(skip)
        for number in range(self.pairs):
            hidden = x.shape[-1] * self.expand
            x = DualPath(hidden, name=f"pair_{number}")(x)
            x = transformed(x) if number % 2 == 0 else back(x)
        outputs = 2 * self.channels * len(self.sources)
        for number, (_, bands) in reversed(list(enumerate(layers))):
            features = self.features[number - 1] if number else outputs
            x = Expand(features, bands, name=f"decoder_{number}")(x, skips.pop())
        return x


def transformed(x: Array) -> Array:
    """The Fourier transform along the frames, its parts beside each other as channels."""
    spec = jnp.fft.rfft(x, axis=1, norm="ortho")
    return jnp.concatenate([spec.real, spec.imag], axis=-1)


def back(x: Array) -> Array:
    """The inverse, of an even number of frames."""
    real, imaginary = jnp.split(x, 2, axis=-1)
    return jnp.fft.irfft(lax.complex(real, imaginary), axis=1, norm="ortho")
