"""Phase vocoder: change how long a sound lasts and keep its pitch, by the frames of its STFT.

Flanagan and Golden (1966) as torchaudio computes it, down to the rounding of its time grid. Phases
are never unwrapped nor summed: exp(i phase) is a product of unit numbers, in which whole turns do
not count, and of two frames that follow each other in the input most of it cancels.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

BLOCK = 8  # how many times PyTorch counts on from one rounded time


def time_grid(frames: int, rate: float) -> np.ndarray:
    """Times in the input, in frames, of the frames of the result: 0, rate, ... below `frames`.

    Float32, as `torch.arange` rounds them on a CPU: from every eighth on, itself rounded, and one
    by one in the last 8 to 15, unless the count is a multiple of 16. The frame before a time is a
    discrete choice, and a whole number of frames comes out on either side of itself.
    """
    rate = float(np.float32(rate))
    count = np.arange(int(np.ceil(frames / rate)))
    before = (count // BLOCK * BLOCK * rate).astype(np.float32)
    grid = before + count % BLOCK * rate
    rest = count.size // (2 * BLOCK) * 2 * BLOCK
    grid[rest:] = count[rest:] * rate
    return grid.astype(np.float32)


def stretch(frames: Array, rate: float) -> Array:
    """Play complex [..., frame, bin] `rate` times as fast: [..., ceil(frame / rate), bin].

    Magnitudes are interpolated between the frames around each time of `time_grid`; from one time
    to the next, the phase advances as it does between these two frames. Phases of silence are 0.
    """
    if rate == 1:
        return frames
    grid = time_grid(frames.shape[-2], rate)
    before = np.floor(grid).astype(np.int32)
    share = (grid - before).astype(np.float32)[:, None]  # of the frame after
    edges = [(0, 0)] * (frames.ndim - 2) + [(0, 1), (0, 0)]
    frames = jnp.pad(frames, edges)
    magnitude = jnp.sqrt(frames.real**2 + frames.imag**2)
    unit = jnp.where(magnitude > 0, frames / jnp.where(magnitude > 0, magnitude, 1), 1)

    # Where a time's frame follows that of the time before, its phase goes on by itself. The other
    # times turn all later ones by the phase between the frame that would follow and their own.
    jumps = 1 + np.flatnonzero(np.diff(before) != 1)
    turns = unit[..., before[jumps - 1] + 1, :] * unit[..., before[jumps], :].conj()
    turns = jnp.pad(jnp.moveaxis(turns, -2, 0), [(1, 0), *edges[:-2], (0, 0)], constant_values=1)

    def turn(sofar, one):
        return sofar * one, sofar * one

    _, turned = lax.scan(turn, turns[0], turns)
    turned = jnp.moveaxis(turned, 0, -2)
    made = magnitude[..., before, :] * (1 - share) + magnitude[..., before + 1, :] * share
    after = np.searchsorted(jumps, np.arange(before.size), side="right")
    return made * unit[..., before, :] * turned[..., after, :]
