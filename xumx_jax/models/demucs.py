"""Demucs: a U-Net of waveforms, its second and third version.

Défossez et al. 2019, "Music Source Separation in the Waveform Domain"; the third version has
residual branches instead of the LSTM (Défossez 2021). All options of the Demucs package (4.1.0).
Inside, waveforms are [batch, 1, time, channel].
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from xumx_jax.layers.bidirectional import BidirectionalLstm
from xumx_jax.layers.sinc_resample import julius_resample
from xumx_jax.layers.standardize import standardize_mono, with_statistics
from xumx_jax.layers.unet import (
    Decoder,
    Encoder,
    LayerOptions,
    cropped,
    options_of,
    valid_length,
)
from xumx_jax.models.interface import Segment, check
from xumx_jax.stems import Stems


class Demucs(nn.Module):
    """Separate a mixture from its waveform alone.

    sources      names, in the order of the source axis
    sample_rate  of the audio that the weights were trained on, in hertz
    channels     of the mixtures
    width        channels after the first layer
    growth       of the channels from one layer to the next
    depth        number of layers of the encoder and of the decoder
    seconds      usual length of a chunk
    rewrite      whether layers have a convolution of all channels
    lstm_layers  of the LSTM between encoder and decoder; 0: none
    kernel_size, stride  of the strided convolutions
    context      neighbours on each side that the decoder's rewriting convolutions see
    gelu, glu    their activations; else rectifiers
    norm_starts, norm_groups  the first layer with group normalisation, and its groups
    dconv_mode   residual branches (`layers.dconv`) in the encoder (1), the decoder (2), both (3),
                 neither (0)
    dconv_depth, dconv_comp, dconv_init  of these, their number, compression and initial factor
    dconv_attn, dconv_lstm  the first layers whose branches have attention and LSTMs
    normalize    standardise each mixture
    resample     work at twice the sample rate
    rescale      of initial weights; see `layers.convolution.Conv`
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    channels: int = 2
    width: int = 64
    growth: float = 2.0
    depth: int = 6
    seconds: float = 10.0
    rewrite: bool = True
    lstm_layers: int = 0
    kernel_size: int = 8
    stride: int = 4
    context: int = 1
    gelu: bool = True
    glu: bool = True
    norm_starts: int = 4
    norm_groups: int = 4
    dconv_mode: int = 1
    dconv_depth: int = 2
    dconv_comp: float = 4
    dconv_init: float = 1e-4
    dconv_attn: int = 4
    dconv_lstm: int = 4
    normalize: bool = True
    resample: bool = True
    rescale: float | None = 0.1
    transform = None
    normalization = "mean and deviation"
    usual_speed = {"cpu": 2.3}
    checkpointed_layers = (Encoder, Decoder, BidirectionalLstm)
    protocol = "demucs"
    source_outputs = {"decoder_0/conv/(kernel|bias)": -1}

    def __post_init__(self):
        check(self)
        outputs = [len(self.sources) * self.channels, *self.widths()]
        for number, back in enumerate(outputs[:-1]):
            # the outermost layer's output is not normalised
            branch = bool(self.dconv_mode)
            self.options(number).check(outputs[number + 1], back if number else 0, branch)
        super().__post_init__()

    @property
    def segment(self) -> Segment:
        """Any length."""
        return Segment(round(self.seconds * self.sample_rate))

    def valid_length(self, samples: int) -> int:
        """The least length, from `samples` on, that the strides of all layers divide."""
        return valid_length(self, samples)

    def __call__(self, mix: Array, train: bool = False, statistics: Array | None = None) -> Stems:
        """Separate [batch, channel, time] into Stems, waveforms only.

        `statistics` are mean and deviation of the whole track's mono mixture, by which the Demucs
        package standardises it; None: the mixture is taken as it is.
        """
        return Stems(with_statistics(self._separate, mix, statistics))

    @nn.compact
    def _separate(self, mix: Array) -> Array:
        """[batch, channel, time] -> [batch, source, channel, time]."""
        batch, channels, length = mix.shape
        x, mean, spread = standardize_mono(mix) if self.normalize else (mix, 0.0, 1.0)
        missing = self.valid_length(length) - length
        x = jnp.pad(x, [(0, 0), (0, 0), (missing // 2, missing - missing // 2)])
        if self.resample:
            x = julius_resample(x, 1, 2)
        x = x.swapaxes(-1, -2)[:, None]
        options = [self.options(number) for number in range(self.depth)]
        widths = self.widths()
        skips = []
        for number, (option, width) in enumerate(zip(options, widths, strict=True)):
            branch = bool(self.dconv_mode & 1)
            x = Encoder(width, option, branch=branch, name=f"encoder_{number}")(x)
            skips.append(x)
        if self.lstm_layers:
            x = BidirectionalLstm(self.lstm_layers, name="lstm")(x[:, 0])[:, None]
        outputs = [len(self.sources) * channels, *widths]
        for number in reversed(range(self.depth)):
            option, branch = options[number], bool(self.dconv_mode & 2)
            layer = Decoder(
                outputs[number], option, self.context, True, branch, False, bool(number),
                name=f"decoder_{number}",
            )  # fmt: skip
            x, _ = layer(x, centred(skips.pop(), x.shape[-2]))
            x = option.activate(x) if number else x
        x = x[:, 0].swapaxes(-1, -2)
        if self.resample:
            x = julius_resample(x, 2, 1)
        x = centred(x[..., None], length)[..., 0] * spread + mean
        return x.reshape(batch, len(self.sources), channels, length)

    def widths(self) -> list[int]:
        """The channels behind each layer of the encoder."""
        widths = [self.width]
        while len(widths) < self.depth:
            widths.append(int(self.growth * widths[-1]))
        return widths

    def options(self, number: int) -> LayerOptions:
        """What the layers of this number, from the outermost on, have in common."""
        return options_of(self, number, self.glu, self.gelu)


def centred(x: Array, length: int) -> Array:
    """The middle `length` columns of [..., column, channel]."""
    return cropped(x, (x.shape[-2] - length) // 2, length)
