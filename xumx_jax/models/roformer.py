"""RoFormers: attention over time and over bands takes turns; complex masks for each source.

Lu et al. 2023, "Music Source Separation with Band-Split RoPE Transformer" (BS-RoFormer), and Wang
et al. 2023, "Mel-Band RoFormer for Music Source Separation", as their open implementations have
them (lucidrains/BS-RoFormer, ZFTurbo/Music-Source-Separation-Training). They differ in the bands,
in where outputs are normalised, and in how the layers of the mask estimator are counted, which is
left to the converters: `mask_layers` are hidden layers here.
"""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from xumx_jax.layers.axial_transformer import AxialTransformer, normalised
from xumx_jax.layers.dense import DTYPES
from xumx_jax.layers.overlapping_bands import BandFeatures, Bands, BandValues, check_bands
from xumx_jax.layers.rotary import KINDS, angles, frequencies
from xumx_jax.models.interface import Segment, check
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import mel_bands
from xumx_jax.transforms.stft import Stft

# Widths of BS-RoFormer's 62 bands of 1025 bins.
WIDTHS = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)
SEGMENT_SECONDS = 8.0
CONSTANTS = "constants"  # the collection of what is neither trained nor follows the data


class Layer(nn.Module):
    """Attention over the frames and then over the bands.

    `ends`: transformers normalise their outputs. The other fields are those of `RoFormer`.
    """

    time_layers: int
    band_layers: int
    linear_layers: int
    heads: int
    head_size: int
    position: str
    skips: bool
    ends: bool

    @nn.compact
    def __call__(self, carry, places, dtype: str):
        """([batch, band, frame, feature], sum of earlier outputs) -> the same, for `nn.scan`."""
        x, earlier = carry
        batch, bands, frames, features = x.shape
        axial = partial(AxialTransformer, heads=self.heads, head_size=self.head_size)
        if self.linear_layers:
            flat = x.swapaxes(1, 2).reshape(batch, frames * bands, features)
            flat = axial(self.linear_layers, position="linear", ending=self.ends, name="linear")(
                flat, None, None, dtype
            )
            x = flat.reshape(batch, frames, bands, features).swapaxes(1, 2)
        if self.skips:
            x = x + earlier
        (time_angle, time_phase), (band_angle, band_phase) = places
        run = partial(axial, position=self.position, ending=self.ends)
        y = x.reshape(batch * bands, frames, features)
        y = run(self.time_layers, name="time")(y, time_angle, time_phase, dtype)
        y = y.reshape(x.shape).swapaxes(1, 2).reshape(batch * frames, bands, features)
        y = run(self.band_layers, name="band")(y, band_angle, band_phase, dtype)
        y = y.reshape(batch, frames, bands, features).swapaxes(1, 2)
        return (y, earlier + y if self.skips else earlier), None


class RoFormer(nn.Module):
    """Separate a mixture with one complex mask per source and channel: what both networks share.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    n_fft, hop, window   of the transform, in samples; window None: n_fft
    features     of each band
    layers       pairs of transformers over time and over bands
    time_layers, band_layers, linear_layers   layers of each transformer, and of one without
                 positions before both, over all bands and frames at once
    heads, head_size     of the attention
    position     of `layers.rotary.KINDS`
    mask_layers  hidden layers of the MLP that makes the masks of a band
    mask_width   their width, in features
    skips        what a layer reads includes the outputs of all earlier ones
    zero_dc      stems are silent at 0 Hz
    dtype        precision of matrix products in training, of `layers.dense.DTYPES`; parameters
                 and everything else are float32
    compute      their precision otherwise
    """

    sources: tuple[str, ...] = ("vocals",)
    sample_rate: int = 44100
    channels: int = 2
    n_fft: int = 2048
    hop: int = 441
    window: int | None = None
    features: int = 384
    layers: int = 6
    time_layers: int = 1
    band_layers: int = 1
    linear_layers: int = 0
    heads: int = 8
    head_size: int = 64
    position: str = "rotary"
    mask_layers: int = 1
    mask_width: int = 4
    skips: bool = False
    zero_dc: bool = True
    dtype: str = "float32"
    compute: str = "float32"
    ends = False  # whether transformers normalise their outputs, or the last one's is
    checkpointed_layers = (Layer,)
    protocol = "msst"
    audio_separator = "roformer"
    source_outputs = {r"merge/(kernel|bias)": 1, r"merge/hidden_\d+(_bias)?": 0}

    def __post_init__(self):
        check(self)
        for name, known in (("dtype", DTYPES), ("compute", DTYPES), ("position", KINDS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: wanted one of {known}")
        if self.head_size % 2:
            raise ValueError(f"head_size {self.head_size}: wanted an even number")
        check_bands(self.band_bins, self.transform.bins)
        super().__post_init__()

    @property
    def band_bins(self) -> Bands:
        """(first bin, last bin + 1) of each band."""
        raise NotImplementedError

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop, window_length=self.window)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 8 s, near which published weights were trained."""
        return Segment(usual=round(SEGMENT_SECONDS * self.sample_rate), grid=self.hop)

    def setup(self):
        values = 2 * self.channels
        self.split = BandFeatures(self.band_bins, values, self.features)
        stack = nn.scan(
            Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast),  # pyright: ignore[reportArgumentType] (as flax documents it)
            length=self.layers,
        )
        self.stack = stack(
            self.time_layers, self.band_layers, self.linear_layers, self.heads, self.head_size,
            self.position, self.skips, self.ends,
        )  # fmt: skip
        self.merge = BandValues(
            self.band_bins, values, len(self.sources), self.mask_layers,
            self.mask_width * self.features,
        )  # fmt: skip
        if not self.ends:
            self.norm = self.param("norm", nn.initializers.ones, (self.features,))
        made = partial(frequencies, self.position, self.head_size)
        self.turns = [
            self.variable(CONSTANTS, f"{axis}_frequencies", made) for axis in ("time", "band")
        ]
        if self.position == "polar":
            shape = (self.heads, self.head_size)
            self.phases = [
                self.param(f"{axis}_phase", nn.initializers.zeros, shape)
                for axis in ("time", "band")
            ]

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems; `spec` is that of `wave`."""
        spec = self.transform.forward_frames(mix)  # [batch, channel, frame, bin]
        mask = self._masks(spec, self.dtype if train else self.compute)
        masked = mask * spec[:, None]
        if self.zero_dc:
            masked = masked.at[..., 0].set(0)
        wave = self.transform.inverse_frames(masked, mix.shape[-1])
        return Stems(wave, (masked.swapaxes(-1, -2),))

    def _masks(self, spec: Array, dtype: str) -> Array:
        """[batch, channel, frame, bin] -> complex64 [batch, source, channel, frame, bin]."""
        batch, channels, frames, bins = spec.shape
        x = jnp.stack([spec.real, spec.imag], axis=-1)
        x = x.transpose(0, 2, 3, 1, 4).reshape(batch, frames, -1)  # [.., bin * channel * part]
        x = self.split(x, dtype).swapaxes(1, 2)  # [batch, band, frame, feature]
        places = [
            (
                angles(count, jnp.asarray(turn.value)),
                self.phases[axis] if self.position == "polar" else None,
            )
            for axis, (count, turn) in enumerate(zip((frames, x.shape[1]), self.turns, strict=True))
        ]
        (x, _), _ = self.stack(
            (x, jnp.zeros_like(x) if self.skips else jnp.zeros(())), places, dtype
        )
        if not self.ends:
            x = normalised(x, self.norm)
        y = self.merge(x.swapaxes(1, 2), dtype)
        y = y.reshape(batch, frames, len(self.sources), bins, channels, 2)
        y = y.transpose(5, 0, 2, 4, 1, 3)
        return lax.complex(y[0], y[1])


class BSRoFormer(RoFormer):
    """The network with bands beside each other.

    widths  of the bands, in bins, which together have n_fft / 2 + 1
    The other fields are those of `RoFormer`.
    """

    widths: tuple[int, ...] = WIDTHS
    usual_speed = {"cpu": 0.1}

    @property
    def band_bins(self) -> Bands:
        at, found = 0, []
        for width in self.widths:
            found.append((at, at + width))
            at += width
        return tuple(found)


class MelBandRoFormer(RoFormer):
    """The network with overlapping bands, equally wide in mel.

    bands  their number
    The other fields are those of `RoFormer`.
    """

    bands: int = 60
    mask_layers: int = 2
    ends = True
    usual_speed = {"cpu": 0.2}

    @property
    def band_bins(self) -> Bands:
        return mel_bands(self.sample_rate, self.n_fft, self.bands)
