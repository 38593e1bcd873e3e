"""RelTDemucs of AIMLESS (Sound Demixing Challenge 2023): Demucs around a transformer.

Encoder and decoder are those of Demucs (Défossez et al. 2019, "Music Source Separation in the
Waveform Domain"); between them is a transformer whose attention knows distances
(`layers.relative_attention`). Inside, waveforms are [batch, 1, time, channel].
"""

from functools import partial

from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.activations import gelu, glu
from xumx_jax.layers.convolution import Conv, TransposedConv
from xumx_jax.layers.dropout import dropout
from xumx_jax.layers.relative_attention import RelativeAttention
from xumx_jax.layers.unet import cropped
from xumx_jax.models.interface import Segment, check
from xumx_jax.models.unpadded import (
    encoders,
    restored,
    segment_of,
    separate_all,
    standardized,
    widths_of,
)
from xumx_jax.stems import Stems

ACTIVATIONS = {"relu": jnn.relu, "gelu": gelu}


class TransformerLayer(nn.Module):
    """Attention and two linear layers, each added to its input: [batch, frame, channel].

    Vaswani et al. 2017, "Attention Is All You Need". Fields as in `RelTDemucs`.
    """

    heads: int
    hidden_size: int
    dropout: float
    norm_first: bool
    activation: str
    context_size: int | None
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        attention = RelativeAttention(self.heads, self.context_size, name="attention")
        wide = nn.Dense(self.hidden_size, name="linear_0")
        narrow = nn.Dense(x.shape[-1], name="linear_1")

        def feed_forward(x: Array) -> Array:
            rows = ACTIVATIONS[self.activation](wide(x.reshape(-1, x.shape[-1])))
            hidden = self._drop(rows.reshape(*x.shape[:-1], -1), train)
            return narrow(hidden.reshape(len(rows), -1)).reshape(x.shape)

        for number, part in enumerate((attention, feed_forward)):
            norm = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, name=f"norm_{number}")
            if self.norm_first:
                x = x + self._drop(part(norm(x)), train)
            else:
                x = norm(x + self._drop(part(x), train))
        return x

    def _drop(self, x: Array, train: bool) -> Array:
        if not train or not self.dropout:
            return x
        # [batch, frame, channel] -> [1, frame, batch, channel]
        items = x.swapaxes(0, 1)[None]
        items = dropout(self.make_rng("dropout"), items, self.dropout, self.axis_name)
        return items[0].swapaxes(0, 1)


class RelTDemucs(nn.Module):
    """Separate a mixture from its waveform alone.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    width        channels after the first layer; each layer doubles them
    depth        number of layers of the encoder and of the decoder
    seconds      usual length of a chunk
    attention_layers  of the transformer between encoder and decoder
    heads        which share the channels of its attention
    hidden_size  of its linear layers; None: four times the channels
    dropout      in training, of what attention and linear layers give, and between the latter
    norm_first   normalise before attention and linear layers, else behind them
    activation   between the linear layers, of ACTIVATIONS
    context_size  frames of the innermost layer see those less than this away; None: all
    kernel_size, stride  of the strided convolutions
    resample     work at twice the sample rate
    rescale      of initial weights; see `layers.convolution.Conv`
    axis_name    of the devices that share a training batch, for dropout
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    channels: int = 2
    width: int = 64
    depth: int = 6
    seconds: float = 10.0
    attention_layers: int = 8
    heads: int = 8
    hidden_size: int | None = None
    dropout: float = 0.1
    norm_first: bool = False
    activation: str = "relu"
    context_size: int | None = None
    kernel_size: int = 8
    stride: int = 4
    resample: bool = True
    rescale: float | None = 0.1
    axis_name: str | None = None
    transform = None
    usual_speed = {"cpu": 1.7}
    checkpointed_layers = (TransformerLayer,)
    source_outputs = {"decoder_0/(kernel|bias)": -1}

    def __post_init__(self):
        check(self)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r}: wanted {' or '.join(ACTIVATIONS)}")
        if self.inner % self.heads:
            raise ValueError(f"heads {self.heads}: wanted a divisor of {self.inner} channels")
        super().__post_init__()

    @property
    def inner(self) -> int:
        """The channels of the transformer."""
        return widths_of(self)[-1]

    @property
    def segment(self) -> Segment:
        """The lengths of which every sample is separated."""
        return segment_of(self)

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems, waveforms only.

        Silence is appended to a mixture of another length than `segment` has. With `train`, a
        "dropout" key is needed unless `dropout` is 0.
        """
        return separate_all(partial(self.separate, train=train), mix, self.segment)

    @nn.compact
    def separate(self, mix: Array, train: bool = False) -> Array:
        """[batch, channel, time] -> [batch, source, channel, time], as AIMLESS's model does it.

        The last samples that do not fill the windows of all layers are dropped.
        """
        batch, channels, _ = mix.shape
        x, mean, scale = standardized(mix, self.resample)
        skips = []
        for encoder in encoders(self):
            x = encoder(x)
            skips.append(x)
        x = x[:, 0]
        for number in range(self.attention_layers):
            x = TransformerLayer(
                self.heads, self.hidden_size or 4 * self.inner, self.dropout, self.norm_first,
                self.activation, self.context_size, self.axis_name, name=f"layer_{number}",
            )(x, train)  # fmt: skip
        x = x[:, None]
        outputs = [len(self.sources) * channels, *widths_of(self)]
        for number in reversed(range(self.depth)):
            x = x + cropped(skips.pop(), 0, x.shape[-2])
            context = Conv(
                2 * x.shape[-1], 3, padding=1, bias=False, rescale=self.rescale,
                name=f"context_{number}",
            )  # fmt: skip
            conv = TransposedConv(
                outputs[number], self.kernel_size, self.stride, self.rescale,
                name=f"decoder_{number}",
            )  # fmt: skip
            x = conv(glu(context(x)))
            x = jnn.relu(x) if number else x
        x = x[:, 0].swapaxes(-1, -2)
        x = x.reshape(batch, len(self.sources), channels, -1)
        return restored(x, mean, scale, self.resample)
