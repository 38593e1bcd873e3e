"""A post filter on the STFT of stems that come as waveforms, window after window of a stream."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xumx_jax import postfilters
from xumx_jax.postfilters import POST_FILTERS, WINDOW_FRAMES
from xumx_jax.separation.stream_buffer import StreamBuffer
from xumx_jax.separation.umx.kernels import BlockInverse, block_weight, filled, invert, spectrum
from xumx_jax.stems import Stems


def filter_window(
    name: str, channels: int, wave: Array, frames: Array, weight: Array, **options
) -> Array:
    """Filter one window: [channel, time] of mixture and stems -> [source, channel, time].

    The mixture's `channels` come first, then those of each stem. Of the frames only the first
    `frames` exist. `weight` is as in `umx.kernels.inverse`.
    """
    transform = POST_FILTERS[name].transform
    spec = spectrum(transform, wave)  # [row, frame, bin]
    spec = (spec * (jnp.arange(spec.shape[1]) < frames)[:, None]).swapaxes(1, 2)
    mix, stems = spec[:channels], spec[channels:]
    stems = stems.reshape(-1, *mix.shape)
    (found,) = postfilters.apply(name, Stems(jnp.zeros(()), (stems,)), (mix,), **options)
    return invert(transform, found.swapaxes(2, 3), weight)


STATIC = ("niter", "softmask", "alpha", "logit", "residual", "difference", "epsilon")
_filter = jax.jit(filter_window, static_argnums=(0, 1), static_argnames=STATIC)


def filtered(pairs: Iterator, name: str, wiener_frames: int | None, **options) -> Iterator:
    """Filter a stream of (mixture [channel, time], stems [source, channel, time]).

    Yields [source, channel, time], in all as many samples as there were. `name` is a key of
    POST_FILTERS with a transform of its own; it takes `wiener_frames` at a time, the last time as
    many as are left.
    """
    transform, most = POST_FILTERS[name].transform, wiener_frames or WINDOW_FRAMES
    assert transform is not None
    channels = [0]

    def rows():
        for mix, stems in pairs:
            channels[0] = len(mix)
            yield np.concatenate([mix, stems.reshape(-1, stems.shape[-1])])

    buffer, inverse, at = StreamBuffer(rows()), BlockInverse(transform), 0
    hop, half = transform.hop, transform.n_fft // 2
    reach = -(-transform.n_fft // hop)
    span = (most - 1) * hop + transform.n_fft
    while True:
        # so much behind a window that the end of the stream does not change its samples
        known = buffer.reach((at + most + reach) * hop + half)
        if not buffer.end:
            return
        total = None if known else transform.frames(buffer.end)
        last = at + most if total is None else min(at + most, total)
        weight = filled(block_weight(transform, at, last - at, total), span)
        wave = filled(buffer.frames(transform, at, last), span)
        piece = np.asarray(_filter(name, channels[0], wave, last - at, weight, **options))
        end = buffer.end if total is not None and last == total else None
        for samples in inverse.add(piece, last - at):
            yield from inverse.trimmed(samples, end)
        at = last
        # a last frame may be made of one sample before it, reflected
        buffer.drop(max(0, (at - 1) * hop - half))
        if at == total:
            yield from inverse.trimmed(inverse.carry, buffer.end)
            return
