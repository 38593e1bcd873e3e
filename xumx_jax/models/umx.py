"""Open-Unmix and X-UMX: for each source an encoder, a stacked LSTM and a decoder for a mask.

X-UMX (Sawata et al. 2021, "All for One and One for All") is Open-Unmix (Stoeter et al. 2019) with
two averages over the source axis, after the encoder and before the decoder: `bridge`. Everything
that belongs to one source is written for one source and vmapped, so parameters carry the source
axis in front: `params/enc/dense/kernel [source, channel * bin, hidden]`.

Options beyond the originals are for small models: `bands` pools the input into bands and predicts
one mask value per band; `activation="softmax"` divides every bin between the sources and "none of
them".
"""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.dense import DTYPES, Dense
from xumx_jax.layers.dropout import dropout
from xumx_jax.layers.lstm import Recurrent
from xumx_jax.layers.norm import BatchNorm
from xumx_jax.models.interface import Segment, check
from xumx_jax.stems import Stems
from xumx_jax.transforms.bands import band_of_bin, bandwidth_to_max_bin, log_bands
from xumx_jax.transforms.stft import Stft

ACTIVATIONS = ("relu", "softmax")


class Encoder(nn.Module):
    """[batch, frame, channel, bin] -> [batch, frame, hidden], for one source.

    `mean` holds minus the mean of every bin over the training set and `scale` one over its
    deviation, as in all published checkpoints.
    """

    hidden_size: int
    axis_name: str | None
    dtypes: tuple[str, str]

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        channels, bins = x.shape[-2:]
        mean = self.param("mean", nn.initializers.zeros, (bins,))
        scale = self.param("scale", nn.initializers.ones, (bins,))
        mean, scale = jnp.tile(mean, channels), jnp.tile(scale, channels)
        x = x.reshape(*x.shape[:-2], channels * bins)
        x = Dense(self.hidden_size, self.dtypes[train], name="dense")(x, mean, scale)
        return jnp.tanh(BatchNorm(self.axis_name, name="norm")(x, train))


class Decoder(nn.Module):
    """[batch, frame, 2 * hidden] -> mask before its activation, [batch, frame, channel, bin]."""

    hidden_size: int
    channels: int
    bins: int
    axis_name: str | None
    dtypes: tuple[str, str]

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        dtype = self.dtypes[train]
        x = Dense(self.hidden_size, dtype, name="dense_0")(x)
        x = jnn.relu(BatchNorm(self.axis_name, name="norm_0")(x, train))
        x = Dense(self.channels * self.bins, dtype, name="dense_1")(x)
        x = BatchNorm(self.axis_name, name="norm_1")(x, train)
        scale = self.param("scale", nn.initializers.ones, (self.bins,))
        mean = self.param("mean", nn.initializers.ones, (self.bins,))
        return x.reshape(*x.shape[:-1], self.channels, self.bins) * scale + mean


def per_source(module: type[nn.Module], sources: int):
    """Vmap a module over the source axis, in front of its first input."""
    return nn.vmap(
        module,
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True},
        in_axes=(0, None),  # pyright: ignore[reportArgumentType] (flax's annotation is too narrow)
        axis_size=sources,
    )


class UMX(nn.Module):
    """Separate a mixture with one mask per source.

    sources         names, in the order of the source axis
    sample_rate     of the audio that the weights were trained on, in hertz
    n_fft           length of the transform's window, in samples
    hop             from one window to the next, in samples
    channels        1 averages the magnitudes of all input channels; its mask serves them all
    hidden_size     width of encoder and decoder; bidirectional LSTMs have half per direction
    layers          number of LSTM layers
    bandwidth_hz    highest frequency that the encoder reads
    max_bin         highest bin that it reads, instead of `bandwidth_hz`
    unidirectional  LSTMs only look back, as live separation requires
    bridge          True: X-UMX, False: sources are separated independently (Open-Unmix)
    power           exponent of the magnitudes that the network reads and masks
    dropout         between the LSTM layers, in training
    bands           edges of bands (`transforms.bands.band_edges`) that replace the bins at both
                    ends of the network
    activation      "relu", or "softmax" over the sources and a constant "none of them"
    filter          of POST_FILTERS; None: its original's, norbert for X-UMX, else openunmix
    axis_name       of the devices that share a training batch, for batch normalisation
    dtype           precision of matrix products in training, of `layers.dense.DTYPES`; parameters
                    and everything else are float32
    compute         their precision otherwise
    """

    sources: tuple[str, ...] = ("bass", "drums", "vocals", "other")
    sample_rate: int = 44100
    n_fft: int = 4096
    hop: int = 1024
    channels: int = 2
    hidden_size: int = 512
    layers: int = 3
    bandwidth_hz: float = 16000.0
    max_bin: int | None = None
    unidirectional: bool = False
    bridge: bool = True
    power: int = 1
    dropout: float = 0.4
    bands: tuple[int, ...] | None = None
    activation: str = "relu"
    filter: str | None = None
    axis_name: str | None = None
    dtype: str = "float32"
    compute: str = "float32"
    engine = "umx"
    any_channels = True
    usual_speed = {"cpu": 20, "gpu": 150, "tpu": 150}
    source_axis = 0
    checkpointed_layers = (Encoder, Recurrent, Decoder)

    def __post_init__(self):
        check(self)
        for name in ("dtype", "compute"):
            if getattr(self, name) not in DTYPES:
                raise ValueError(f"{name} {getattr(self, name)!r}: wanted one of {DTYPES}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r}: wanted one of {ACTIVATIONS}")
        super().__post_init__()

    @property
    def transform(self) -> Stft:
        return Stft(self.n_fft, self.hop)

    @property
    def segment(self) -> Segment:
        """Any length; chunks of 10 s."""
        return Segment(usual=10 * self.sample_rate, grid=self.hop)

    @property
    def post_filter(self) -> str:
        return self.filter or ("norbert" if self.bridge else "openunmix")

    @property
    def normalization(self) -> str | None:
        return None if self.bands is None else "band level"

    @property
    def refused(self) -> tuple[str, str] | None:
        if self.bandwidth_hz is not None and not self.bandwidth_hz > 0:
            return "bandwidth_hz", "more than 0"
        if self.hidden_size % 2 and not self.unidirectional:
            return "hidden_size", "an even number, half for each direction"
        if self.n_fft < 2 or self.n_fft % 2:
            return "n_fft", "an even number, 2 or more"
        if not 1 <= self.hop <= self.n_fft // 2:
            return "hop", f"1 to {self.n_fft // 2}, half of n_fft"
        return None

    @property
    def input_statistics(self):
        from xumx_jax.models.input_statistics import StftStatistics  # for training alone

        return StftStatistics(self)

    def setup(self):
        count = len(self.sources)
        directions = 1 if self.unidirectional else 2
        bins = self.transform.bins if self.bands is None else len(self.bands) - 1
        dtypes = self.compute, self.dtype
        self.enc = per_source(Encoder, count)(self.hidden_size, self.axis_name, dtypes)
        hidden = self.hidden_size // directions
        self.lstm = [Recurrent(count, hidden, directions) for _ in range(self.layers)]
        self.dec = per_source(Decoder, count)(
            self.hidden_size, self.channels, bins, self.axis_name, dtypes
        )

    def __call__(self, mix: Array, train: bool = False, statistics: Array | None = None) -> Stems:
        """Separate [batch, channel, time] into Stems; `wave` ends with the last whole hop.

        With `train`, batch statistics are used and updated ("batch_stats" must be mutable) and a
        "dropout" key is needed unless `dropout` is 0. Sources keep the phase of the mixture.
        `mask` is the network's own: one value per band where the model has bands. `statistics`, for
        models with bands, is the level of the whole track; None takes that of the excerpt.
        """
        spec = self.transform.forward_frames(mix, axis=-3)  # [batch, frame, channel, bin]
        magnitudes = jnp.abs(spec)
        mask = self._network(magnitudes, train, statistics)
        if self.power != 1:
            spec = spec * magnitudes ** (self.power - 1)
        # Computed as [source, batch, frame, channel, bin], as the decoder's product leaves it.
        wide = self._widen(mask)
        masked = wide * spec
        wave = self.transform.inverse_frames(masked, axis=-3).swapaxes(0, 1)
        magnitude = wide * magnitudes**self.power
        return Stems(wave, (turned(masked),), (turned(mask),), (turned(magnitude),))

    def masks(self, magnitudes: Array, train: bool = False, level: Array | None = None) -> Array:
        """Mask for magnitudes [batch, channel, bin, frame]: [batch, source, channel, bin, frame].

        Only the network, for callers with their own transform. A model with one channel
        returns one channel. `level` (`transforms.bands.level_of`) is that of the whole track, for
        models with bands; None takes that of the excerpt.
        """
        # [batch, channel, bin, frame] -> [batch, frame, channel, bin]
        return turned(self._widen(self._network(magnitudes.transpose(0, 3, 1, 2), train, level)))

    def _network(self, magnitudes: Array, train: bool, level: Array | None = None) -> Array:
        """[batch, frame, channel, bin] -> [source, batch, frame, channel, bin or band]."""
        hidden = self.encode(magnitudes, train, level)
        return self.decode(hidden, self.recur(hidden, train), train)

    def encode(self, magnitudes: Array, train: bool = False, level: Array | None = None) -> Array:
        """Encode [batch, frame, channel, bin] as [source, batch, frame, hidden].

        X-UMX averages over the sources: its source axis has length 1.
        """
        channels = magnitudes.shape[2]
        if channels != self.channels:
            if self.channels != 1:
                raise ValueError(
                    f"the magnitudes have {channels} channels, the model {self.channels}"
                )
            magnitudes = magnitudes.mean(2, keepdims=True)
        x = self.features(magnitudes.swapaxes(1, 2), level).swapaxes(1, 2)
        x = self.enc(self._every(x[None]), train)
        return x.mean(0, keepdims=True) if self.bridge else x

    def features(self, magnitudes: Array, level: Array | None = None) -> Array:
        """The features that the encoder normalises, [batch, channel, frame, bin or band]."""
        if self.bands is not None:
            return log_bands(magnitudes, self.bands, level)
        if self.max_bin is not None:
            bins = self.max_bin
        else:
            bins = bandwidth_to_max_bin(self.sample_rate, self.n_fft, self.bandwidth_hz)
        return magnitudes[..., :bins] ** self.power

    def recur(self, hidden: Array, train: bool = False) -> Array:
        """Run the LSTMs: [source or 1, batch, frame, hidden] -> [source, batch, frame, hidden]."""
        x = hidden.swapaxes(1, 2)  # [source, frame, batch, hidden]
        x = self._every(x)
        for index, layer in enumerate(self.lstm):
            if index and train and self.dropout:
                x = dropout(self.make_rng("dropout"), x, self.dropout, self.axis_name)
            x = layer(x, self.dtype if train else self.compute)
        return x.swapaxes(1, 2)

    def decode(self, hidden: Array, latent: Array, train: bool = False) -> Array:
        """Turn the outputs of `encode` and `recur` into [source, batch, frame, channel, bin]."""
        if self.bridge:
            latent = latent.mean(0, keepdims=True)
        y = self.dec(self._every(jnp.concatenate([hidden, latent], axis=-1)), train)
        if self.activation == "relu":
            return jnn.relu(y)
        none = jnp.zeros_like(y[:1])
        return jnn.softmax(jnp.concatenate([y, none]), axis=0)[:-1]

    def _every(self, x: Array) -> Array:
        """Broadcast [source or 1, ...] to all sources.

        A copy, but a small one; if the input is shared, XLA makes one product for all sources and
        first copies their kernels, which are larger, into one.
        """
        return jnp.broadcast_to(x, (len(self.sources), *x.shape[1:]))

    def _widen(self, mask: Array) -> Array:
        """Expand one value per band to one per bin, on the last axis."""
        if self.bands is None:
            return mask
        return mask[..., band_of_bin(self.bands, self.transform.bins)]


OpenUnmix = partial(UMX, bridge=False)


def turned(x: Array) -> Array:
    """[source, batch, frame, channel, bin] -> [batch, source, channel, bin, frame]."""
    return x.transpose(1, 0, 3, 4, 2)
