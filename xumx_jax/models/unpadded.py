"""What U-Nets of waveforms have in common whose convolutions are not padded, as in AIMLESS.

They drop the samples that do not fill the windows of all layers, so that most lengths come out
shorter. A model has the fields `depth`, `kernel_size`, `stride`, `resample`, `seconds` and
`sample_rate`.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array

from xumx_jax.layers.sinc_resample import torchaudio_resample
from xumx_jax.layers.standardize import OFFSET, standardize_mono
from xumx_jax.layers.unet import Encoder, LayerOptions, valid_length
from xumx_jax.models.interface import Segment
from xumx_jax.stems import Stems


def segment_of(model) -> Segment:
    """The lengths that a model returns as they came."""
    next_length = partial(valid_length, model)
    return Segment(next_length(round(model.seconds * model.sample_rate)), next_length=next_length)


def separate_all(separate: Callable[[Array], Array], mix: Array, segment: Segment) -> Stems:
    """Apply `separate` to [batch, channel, time] of any length: stems of waveforms as long.

    Silence is appended to a mixture of which it would drop the end.
    """
    length = mix.shape[-1]
    missing = segment.fit(length) - length
    return Stems(separate(jnp.pad(mix, [(0, 0), (0, 0), (0, missing)]))[..., :length])


def standardized(mix: Array, resample: bool) -> tuple[Array, Array, Array]:
    """[batch, channel, time] -> [batch, 1, time, channel], standardised; mean and scale of each.

    With `resample` at twice the sample rate.
    """
    x, mean, deviation = standardize_mono(mix)
    x = torchaudio_resample(x, 1, 2) if resample else x
    return x.swapaxes(-1, -2)[:, None], mean, deviation + OFFSET


def encoders(model) -> list[Encoder]:
    """The encoder's layers; each has twice the channels of the one before it."""
    options = LayerOptions(model.kernel_size, model.stride, gelu=False, rescale=model.rescale)
    return [
        Encoder(width, options, branch=False, name=f"encoder_{number}")
        for number, width in enumerate(widths_of(model))
    ]


def widths_of(model) -> list[int]:
    """The channels of the encoder's outputs."""
    return [model.width * 2**number for number in range(model.depth)]


def restored(x: Array, mean: Array, scale: Array, resample: bool) -> Array:
    """Undo `standardized` for [batch, source, channel, time]."""
    x = torchaudio_resample(x, 2, 1) if resample else x
    return x * scale[:, None] + mean[:, None]
