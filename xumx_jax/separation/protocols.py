"""How other programs cut a track into chunks and blend them: plans for the engine for chunks.

A protocol is a class made from (model, samples of a chunk, overlap, transition power), with the
attributes `length`, `step` and methods of a `ChunkPlan`, and an entry of PROTOCOLS. Their chunks
keep their length when memory is short, since the stems depend on it.
"""

from typing import Literal

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.interface import optional
from xumx_jax.separation.chunk_plan import Batch, Chunk
from xumx_jax.separation.overlap_add import triangle


class Demucs:
    """Demucs' `apply_model`: a chunk begins at every multiple of `step` before the track's end.

    A chunk shorter than what the model takes lies in the middle of it, with the music around it on
    both sides, and silence where there is none. Chunks are blended by a triangle to the power of
    `power`, of which a short last chunk gets the beginning.

    length   what the model gets for a whole chunk, in samples
    step     from one chunk to the next
    """

    def __init__(self, model, samples: float, overlap: float, power: float):
        segment, self.samples = model.segment, int(samples)
        self._fit = optional(model, "valid_length") or segment.fit
        if not self.samples:
            raise UserError("a chunk has not one sample; use a larger chunk_seconds")
        if segment.largest is not None and self.samples > segment.largest:
            raise UserError(
                f"a chunk has {self.samples} samples, and the model takes {segment.largest} at "
                "most; use a smaller chunk_seconds, or leave it out"
            )
        self.length = self._fit(self.samples)
        self.step = max(1, int((1 - overlap) * self.samples))
        self._window = triangle(self.samples) ** np.float32(power)
        if not self._window.all():
            raise UserError(
                f"transition-power is {power:g}, and the weights vanish; use a smaller one"
            )

    def reach(self, at: int, count: int) -> int:
        """As in `ChunkPlan`: the music behind a chunk may fill it up."""
        return at + (count - 1) * self.step - self._left(self.samples) + self.length + 1

    def keep(self, at: int) -> int:
        """As in `ChunkPlan`; a chunk of a single sample has most music before it."""
        return at - self.length // 2

    def window(self, batch: Batch) -> np.ndarray:
        """That of a whole chunk, [time]."""
        return self._window

    def padding(self, batch: Batch) -> Literal["constant"]:
        """Silence."""
        return "constant"

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """As in `ChunkPlan`. Near the end chunks may be short, and then run with others as long."""
        batch = Batch(self.length, [], False)
        while len(batch.chunks) < count and at < known:
            samples = min(self.samples, known - at)
            length, left = self._fit(samples), self._left(samples)
            if not over and at - left + length >= known:
                break
            if batch.chunks and length != batch.length:
                break
            chunk = Chunk(at - left, at, at + samples)
            batch = Batch(length, [*batch.chunks, chunk], over and at + self.step >= known)
            at += self.step
        return batch

    def _left(self, samples: int) -> int:
        """How much music before a chunk of so many samples the model gets."""
        return (self._fit(samples) - samples) // 2


PROTOCOLS = {"demucs": Demucs}
