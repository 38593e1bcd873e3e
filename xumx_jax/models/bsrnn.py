"""BandSplitRNN: LSTMs over time and over bands take turns; masks for one source or for several.

The network of Luo and Yu 2023, "Music Source Separation With Band-Split RNN", as AIMLESS has it: it
reads log magnitudes instead of complex spectra, its masks are factors of magnitudes, and the
channels are items of the batch, which never mix. `mask="complex"` is the paper's mask.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax
from jax import nn as jnn

from xumx_jax.layers.bandsplit import BandMerge, BandSplit
from xumx_jax.layers.dense import DTYPES
from xumx_jax.layers.group_norm import GroupNorm
from xumx_jax.layers.lstm_projected import ProjectedLstm
from xumx_jax.models.interface import Segment, check
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import check_edges, split_edges
from xumx_jax.transforms.stft import Stft

MASKS = ("magnitude", "complex")
FLOOR = 1e-8  # added to magnitudes, whose logarithm is taken
EXPANSION = 4  # width of the last hidden layer, in features


class Layer(nn.Module):
    """An LSTM over the frames and then one over the bands, each with its input added."""

    groups: int

    @nn.compact
    def __call__(self, x: Array, dtype: str) -> tuple[Array, None]:
        """[frame, item, band, feature] -> the same; None is what `nn.scan` asks for."""
        frames, items, bands, features = x.shape
        y = GroupNorm(self.groups, (-4,), name="time_norm")(x)
        y = y.reshape(frames, items * bands, features)
        y = ProjectedLstm(features, features // 2, name="time_lstm")(y, dtype)
        x = x + y.reshape(x.shape)
        y = GroupNorm(self.groups, (-2,), name="band_norm")(x)
        # [frame, item, band, feature] -> [band, frame * item, feature]
        y = jnp.moveaxis(y, 2, 0).reshape(bands, frames * items, features)
        y = ProjectedLstm(features, features // 2, name="band_lstm")(y, dtype)
        y = jnp.moveaxis(y.reshape(bands, frames, items, features), 0, 2)
        return x + y, None


class BandSplitRNN(nn.Module):
    """Separate a mixture with one mask per source and channel.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    n_fft        length of the transform's window, in samples
    hop          from one window to the next, in samples
    channels     of the mixtures; the network takes each channel on its own
    hidden_size  features of each band and cells of each LSTM
    layers       number of pairs of LSTMs
    groups       of features that are normalised together before each LSTM, over its whole sequence
    bands        edges of the bands, in bins (`transforms.bands.split_edges` makes them from
                 frequencies); None: AIMLESS's 42 at 44.1 kHz, which need an n_fft of 441 or more
    mask         "magnitude": sigmoid for one source, softmax over several; "complex": real and
                 imaginary part of every bin's factor, not bounded
    filter       of POST_FILTERS; None: that of the original
    dtype        precision of matrix products in training, of `layers.dense.DTYPES`; parameters
                 and everything else are float32
    compute      their precision otherwise
    """

    sources: tuple[str, ...] = ("music",)
    sample_rate: int = 44100
    n_fft: int = 4096
    hop: int = 1024
    channels: int = 2
    hidden_size: int = 128
    layers: int = 12
    groups: int = 4
    bands: tuple[int, ...] | None = None
    mask: str = "magnitude"
    filter: str | None = None
    dtype: str = "float32"
    compute: str = "float32"
    any_channels = True
    usual_speed = {"cpu": 1.2}
    checkpointed_layers = (Layer,)

    def __post_init__(self):
        check(self)
        for name, known in (("dtype", DTYPES), ("compute", DTYPES), ("mask", MASKS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: wanted one of {known}")
        if self.hidden_size % 2 or self.hidden_size % self.groups:
            raise ValueError(
                f"hidden_size {self.hidden_size}: wanted an even multiple of {self.groups} groups"
            )
        check_edges(self.edges, Stft(self.n_fft, self.hop).bins)  # the transform checks its sizes
        super().__post_init__()

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 3 s, since the statistics of a sequence depend on its length."""
        return Segment(usual=3 * self.sample_rate, grid=self.hop)

    @property
    def post_filter(self) -> str | None:
        """AIMLESS filters several sources; one alone has nothing to be weighed against."""
        original = "aimless" if len(self.sources) > 1 and self.mask == "magnitude" else None
        return self.filter or original

    @property
    def edges(self) -> tuple[int, ...]:
        """Edges of the bands, in bins."""
        return split_edges(self.n_fft) if self.bands is None else self.bands

    def setup(self):
        self.split = BandSplit(self.edges, self.hidden_size)
        stack = nn.scan(
            Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType] (as flax documents it)
            length=self.layers,
        )
        self.stack = stack(self.groups)
        values = len(self.sources) * (2 if self.mask == "complex" else 1)
        self.merge = BandMerge(self.edges, values, EXPANSION * self.hidden_size)

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems; `wave` ends with the last whole hop.

        Sources keep the phase of the mixture unless masks are complex; `Stems.mask` holds masks of
        magnitudes only.
        """
        spec = self.transform.forward_frames(mix, axis=-4)  # [frame, batch, channel, bin]
        magnitudes = jnp.abs(spec)
        mask = self._network(magnitudes, train)
        masked = mask * spec[:, :, None]
        wave = self.transform.inverse_frames(masked, axis=-5)
        if self.mask == "complex":
            return Stems(wave, (turned(masked),))
        magnitude = mask * magnitudes[:, :, None]
        return Stems(wave, (turned(masked),), (turned(mask),), (turned(magnitude),))

    def masks(self, magnitudes: Array, train: bool = False) -> Array:
        """Mask for magnitudes [batch, channel, bin, frame]: [batch, source, channel, bin, frame].

        Only the network, for callers with their own transform.
        """
        return turned(self._network(magnitudes.transpose(3, 0, 1, 2), train))

    def _network(self, magnitudes: Array, train: bool) -> Array:
        """[frame, batch, channel, bin] -> [frame, batch, source, channel, bin]."""
        dtype = self.dtype if train else self.compute
        frames, batch, channels, bins = magnitudes.shape
        x = jnp.log(magnitudes + FLOOR).reshape(frames, batch * channels, bins)
        x, _ = self.stack(self.split(x, dtype), dtype)
        y = self.merge(x, dtype).reshape(frames, batch, channels, len(self.sources), -1, bins)
        y = y.transpose(4, 0, 1, 3, 2, 5)  # [part, frame, batch, source, channel, bin]
        if self.mask == "complex":
            # Luo and Yu 2023: the MLP gives both parts of M in S = M * X
            return lax.complex(y[0], y[1])
        return jnn.sigmoid(y[0]) if len(self.sources) == 1 else jnn.softmax(y[0], axis=2)


def turned(x: Array) -> Array:
    """[frame, batch, source, channel, bin] -> [batch, source, channel, bin, frame]."""
    return x.transpose(1, 2, 3, 4, 0)
