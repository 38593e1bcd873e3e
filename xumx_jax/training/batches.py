"""What crosses from the input pipeline to the training step, and how a device unpacks it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax.models.interface import Segment, optional


class Examples(NamedTuple):
    """A training batch as stored in files, with what is still to be done to it.

    stems  [batch, source, time, channel], int16 at full scale 32768 or float32 at full scale 1
    gain   [batch, source] float32; negative values invert the polarity
    swap   [batch, source] bool: left and right are swapped
    """

    stems: Array
    gain: Array
    swap: Array


class Pieces(NamedTuple):
    """A validation batch of float32 at full scale 1.

    stems   [batch, source, channel, time]
    mix     [batch, channel, time]: the real mixture, which need not be the sum of the stems
    weight  [batch]: share in the mean; 0 is padding
    """

    stems: Array
    mix: Array
    weight: Array


class Data(NamedTuple):
    """What a run reads. Sources are ordered as `mixing` says, or else as the model's.

    train(first, config)  context of an endless iterator over Examples, from that index on, mixed as
                  a phase's config says; if there are several processes, each gets its slice of the
                  batch
    valid()       iterator over Pieces, likewise sliced
    mixes()       iterator over whole training mixtures [channel, time], for the input statistics
    tracks        how many training tracks there are
    fingerprint   of the data; changes when they do
    outline       hexadecimal digest of what must be the same in every process
    mixing        [target, source] or None, as in `step.Step`
    example()     some seconds of a validation track to look at, (stems, mix) as in Pieces for one
                  item; None without validation
    """

    train: Callable[..., AbstractContextManager[Iterable[Examples]]]
    valid: Callable[[], Iterator[Pieces]]
    mixes: Callable[[], Iterator[np.ndarray]]
    tracks: int
    fingerprint: str
    outline: str
    mixing: np.ndarray | None = None
    example: Callable[[], tuple[np.ndarray, np.ndarray] | None] = lambda: None


def to_channels(wave, model):
    """Average the channels of [..., channel, time] for a model that takes mono alone."""
    if channels_of(model, wave.shape[-2]) < wave.shape[-2]:
        return wave.mean(-2, keepdims=True)
    return wave


def channels_of(model, read: int = 2) -> int:
    """How many channels of so many that were read `to_channels` leaves."""
    return 1 if read > model.channels and not optional(model, "any_channels") else read


def filled(batch, segment: Segment):
    """Pad a batch of Examples or Pieces with silence to a length that the model takes.

    Only whole tracks are ever padded: examples of a given length were read with that length.
    """
    examples = isinstance(batch, Examples)
    axis = -2 if examples else -1
    length = segment.fit(batch.stems.shape[axis])
    if length == batch.stems.shape[axis]:
        return batch
    if examples:
        return batch._replace(stems=with_silence(batch.stems, length, axis))
    stems, mix = (with_silence(wave, length) for wave in (batch.stems, batch.mix))
    return batch._replace(stems=stems, mix=mix)


def with_silence(wave: Array | np.ndarray, length: int, axis: int = -1) -> np.ndarray:
    """Pad `axis` with zeros to `length`."""
    edges = [(0, 0)] * wave.ndim
    edges[axis] = (0, length - wave.shape[axis])
    return np.pad(wave, edges)


def render(examples: Examples) -> Array:
    """Unpack a batch on its device: stems [batch, source, channel, time] float32.

    Gain and swap are cheaper on a device than on a host, and 16-bit samples transfer in half the
    time. The result is the same as numpy's on the host, bit for bit: scaling by 2^-15 is exact.
    """
    stems, gain, swap = examples
    full_scale = 32768.0 if stems.dtype == jnp.int16 else 1.0
    stems = jnp.where(swap[..., None, None], stems[..., ::-1], stems)
    stems = stems.astype(jnp.float32) * (gain / full_scale)[..., None, None]
    return stems.swapaxes(-1, -2)  # [..., time, channel] -> [..., channel, time]
