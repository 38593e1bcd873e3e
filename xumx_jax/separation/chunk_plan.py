"""Which chunks of a stream are separated, how long they are, and where the last one goes."""

from typing import Literal, NamedTuple

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.interface import Segment
from xumx_jax.separation.overlap_add import triangle


class Chunk(NamedTuple):
    """The model gets samples of a stream from `start` on; its stems are used between the others.

    What is before `wanted` or behind `stop` is context; a negative `start` means silence before the
    stream.
    """

    start: int
    wanted: int
    stop: int


class Batch(NamedTuple):
    """Chunks that run at once, each filled up to `length`; `last`: the stream ends with them.

    following  where the plan goes on; None: a step behind the last chunk
    """

    length: int
    chunks: list[Chunk]
    last: bool
    following: int | None = None


class ChunkPlan:
    """Chunks of about `samples` samples for a model with this `segment`.

    overlap  part that neighbours share. With an overlap, chunks begin at multiples of `unit`, and
             the last one is moved back so that it has real context on its left; it extends past the
             end of the stream by less than `unit`. With 0, chunks are adjacent, and the last one
             is as long as the rest, with context on its left if the model takes nothing as short.
    unit     samples; by default the segment's own grid
    blended  whether chunks are blended

    Raises ValueError if the model takes no length near `samples`.
    """

    def __init__(self, segment: Segment, samples: float, overlap: float, unit: int | None = None):
        self.segment, self.overlap = segment, overlap
        self.blended = bool(overlap)
        self.unit = 1 if not overlap else unit or segment.grid
        wanted = max(1, round(samples / self.unit)) * self.unit
        self.length = segment.chunk(wanted)
        step = int(self.length * (1 - overlap)) // self.unit * self.unit
        self.step = max(self.unit, step) if overlap else self.length

    def reach(self, at: int, count: int) -> int:
        """How far a stream must have been read to plan `count` chunks from sample `at` on."""
        # one sample more, to know whether the chunk is the last one
        return at + (count - 1) * self.step + self.length + 1

    def keep(self, at: int) -> int:
        """The first sample that chunks from `at` on may need."""
        return at - self.step

    def cut(self, buffer, chunk: Chunk, length: int, lead: int, silence: float) -> np.ndarray:
        """What the model gets for a chunk, [channel, at most `length`], of a StreamBuffer."""
        return buffer.cut(max(0, chunk.start), chunk.start + length)

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """The weights with which what is wanted of a chunk is blended, [time]."""
        return triangle(batch.length)[: chunk.stop - chunk.wanted]

    def padding(self, batch: Batch) -> Literal["constant", "reflect"]:
        """How a chunk is continued past the end: the last of many extends little past it."""
        missing = batch.length - (batch.chunks[-1].stop - batch.chunks[-1].start)
        many = batch.length == self.length and missing < self.unit
        return "reflect" if many else "constant"

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """Up to `count` more chunks from `at` on, of a stream that has been read up to `known`.

        `over`: the stream ends there. An empty batch ends the plan.
        """
        length, chunks = self.length, []
        while len(chunks) < count and at + length < known:
            chunks.append(Chunk(at, at, at + length))
            at += self.step
        if not (over and len(chunks) < count):
            return Batch(length, chunks, False)
        if not self.overlap:
            # the rest has another length, so it runs alone
            return Batch(length, chunks, False) if chunks else self._rest(at, known)
        if not known:
            return Batch(length, [], True)
        if known <= length:
            return Batch(self.short(known), [Chunk(0, 0, known)], True)
        start = -(-(known - length) // self.unit) * self.unit
        return Batch(length, [*chunks, Chunk(start, start, known)], True)

    def _rest(self, at: int, end: int) -> Batch:
        if at >= end:
            return Batch(self.length, [], True)
        length = self.segment.fit(end - at)
        return Batch(length, [Chunk(max(0, end - length), at, end)], True)

    def short(self, samples: int) -> int:
        """The length for a stream that one chunk holds: short streams share a few."""
        length = max(self.segment.fit(self.segment.least), 4 * self.segment.grid)
        while length < samples:
            length *= 2
        return self.segment.fit(min(length, self.length))


def check_samples(model, samples: float) -> int:
    """Whole samples of a chunk. Raises UserError if there are none, or more than a model takes."""
    samples, largest = int(samples), model.segment.largest
    if not samples:
        raise UserError("a chunk has not one sample; use a larger chunk_seconds")
    if largest is not None and samples > largest:
        raise UserError(
            f"a chunk has {samples} samples, and the model takes {largest} at most; use a smaller "
            "chunk_seconds, or leave it out"
        )
    return samples


def check_plain(power: float, protocol: str) -> None:
    """Raise UserError for a `transition_power` that the protocol's weights do not have."""
    if power != 1:
        raise UserError(f"transition-power is {power:g}; wanted 1 with protocol {protocol}")


def whole_step(samples: int, overlap: float) -> int:
    """The step of chunks, for programs that take the number of chunks that cover a sample."""
    number = round(1 / (1 - overlap))
    whole = abs(number * (1 - overlap) - 1) < 1e-6
    return max(1, samples // number if whole else int(samples * (1 - overlap)))
