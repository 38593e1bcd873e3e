"""DemucsSplit of AIMLESS (Sound Demixing Challenge 2023): Demucs with one decoder per source.

The encoder and the LSTM are those of Demucs (Défossez et al. 2019, "Music Source Separation in the
Waveform Domain"). From there on every source has channels of its own: in each layer of the decoder
a convolution of what it has so far, plus its share of one convolution of the encoder's output.
Inside, waveforms are [batch, 1, time, channel].
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax import nn as jnn

from xumx_jax.layers.activations import glu
from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.convolution import Conv, convolve, transposed, uniform_limit
from xumx_jax.layers.initializers import symmetric
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


class SplitDecoder(nn.Module):
    """A list of one [batch, 1, time, channel] per source -> [batch, 1, time * stride, features].

    `skip`, the encoder's output of at least that length, is convolved once for all sources. A loop
    over the sources, since convolutions in groups take XLA's CPU backend twice as long.
    """

    features: int
    taps: int
    stride: int
    rescale: float | None

    @nn.compact
    def __call__(self, parts: list[Array], skip: Array) -> list[Array]:
        count, (time, channels) = len(parts), parts[0].shape[-2:]
        wide = 2 * channels
        context = Conv(count * wide, 3, padding=1, bias=False, rescale=self.rescale, name="skip")
        shared = context(cropped(skip, 0, time))
        kernel, bias = self._weights("context", 3 * channels, (3, channels, wide), count)
        gated = [
            glu(
                convolve(part, kernel[source], bias[source], padding=1)
                + shared[..., source * wide : (source + 1) * wide]
            )
            for source, part in enumerate(parts)
        ]
        shape = self.taps, channels, self.features
        kernel, bias = self._weights("conv", self.taps * self.features, shape, count)
        return [
            transposed(part, kernel[source], bias[source], self.stride)
            for source, part in enumerate(gated)
        ]

    def _weights(self, name: str, inputs: int, shape: tuple[int, ...], count: int):
        """Kernels [source, tap, in, out] and biases [source, out]."""
        uniform = symmetric(uniform_limit(inputs, self.rescale))
        kernel = self.param(f"{name}_kernel", uniform, (count, *shape))
        return kernel, self.param(f"{name}_bias", uniform, (count, shape[-1]))


class DemucsSplit(nn.Module):
    """Separate a mixture from its waveform alone.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    width        channels after the first layer, an even number; each layer doubles them
    depth        number of layers of the encoder and of the decoder
    seconds      usual length of a chunk
    lstm_layers  of the LSTM between encoder and decoder
    kernel_size, stride  of the strided convolutions
    resample     work at twice the sample rate
    rescale      of initial weights; see `layers.convolution.Conv`
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    channels: int = 2
    width: int = 64
    depth: int = 6
    seconds: float = 10.0
    lstm_layers: int = 2
    kernel_size: int = 8
    stride: int = 4
    resample: bool = True
    rescale: float | None = 0.1
    transform = None
    usual_speed = {"cpu": 0.8}
    checkpointed_layers = (SplitDecoder, BidirectionalLstm)

    def __post_init__(self):
        check(self)
        if self.width % 2:
            raise ValueError(f"width {self.width}: wanted an even number")
        super().__post_init__()

    @property
    def segment(self) -> Segment:
        """The lengths of which every sample is separated."""
        return segment_of(self)

    def __call__(self, mix: Array, train: bool = False) -> Stems:
        """Separate [batch, channel, time] into Stems, waveforms only.

        Silence is appended to a mixture of another length than `segment` has.
        """
        return separate_all(self.separate, mix, self.segment)

    @nn.compact
    def separate(self, mix: Array) -> Array:
        """[batch, channel, time] -> [batch, source, channel, time], as AIMLESS's model does it.

        The last samples that do not fill the windows of all layers are dropped.
        """
        channels = mix.shape[1]
        x, mean, scale = standardized(mix, self.resample)
        skips = []
        for encoder in encoders(self):
            x = encoder(x)
            skips.append(x)
        count, widths = len(self.sources), widths_of(self)
        features = count * widths[-1] // 2
        x = BidirectionalLstm(self.lstm_layers, features=features, name="lstm")(x[:, 0])
        parts = jnp.split(x[:, None], count, axis=-1)
        outputs = [channels, *(width // 2 for width in widths)]
        for number in reversed(range(self.depth)):
            layer = SplitDecoder(
                outputs[number], self.kernel_size, self.stride, self.rescale,
                name=f"decoder_{number}",
            )  # fmt: skip
            parts = layer(parts, skips.pop())
            parts = [jnn.relu(part) for part in parts] if number else parts
        # of each source [batch, 1, time, channel] -> [batch, source, channel, time]
        x = jnp.concatenate(parts, axis=1).swapaxes(-1, -2)
        return restored(x, mean, scale, self.resample)
