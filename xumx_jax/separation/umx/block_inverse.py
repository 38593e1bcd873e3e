"""Combine the windowed samples of blocks of frames into one inverse transform."""

from functools import lru_cache

import numpy as np


class BlockInverse:
    """Add up blocks that overlap by less than a window, and leave out the padding."""

    def __init__(self, transform):
        self.hop, self.tail = transform.hop, transform.n_fft - transform.hop
        self.carry, self.at = np.float32(0), -(transform.n_fft // 2)

    def add(self, piece, frames):
        """Add a block [source, channel, time] of `frames` frames, and yield finished samples."""
        kept, tail = frames * self.hop, self.tail
        head, rest = piece[..., :tail] + self.carry, piece[..., tail : kept + tail]
        if kept < tail:
            head, rest = np.concatenate([head, rest], axis=-1), rest[..., :0]
            self.carry, head = head[..., kept:], head[..., :kept]
        else:
            # a copy, so that the whole block is not held for it
            self.carry, rest = rest[..., kept - tail :].copy(), rest[..., : kept - tail]
        yield head
        yield rest

    def trimmed(self, samples, end):
        """Yield the part of the next samples that is not padding; `end` is where the track ends."""
        at, self.at = self.at, self.at + samples.shape[-1]
        samples = samples[..., max(0, -at) :]
        if end is not None:
            samples = samples[..., : max(0, end - max(0, at))]
        if samples.shape[-1]:
            yield samples


def block_weight(transform, first: int, frames: int, total: int | None) -> np.ndarray:
    """What the whole track's inverse multiplies by where `frames` frames from `first` on lie.

    `total` is the number of frames of the track, None if its end is further away than a window.
    """
    reach = -(-transform.n_fft // transform.hop)
    before = min(first, reach)
    after = reach if total is None else min(total - first - frames, reach)
    return _weight(transform, before, frames, after)


@lru_cache(maxsize=16)
def _weight(transform, before, frames, after):
    weight = transform.weight(before + frames + after, np)
    return weight[before * transform.hop :][: (frames - 1) * transform.hop + transform.n_fft]
