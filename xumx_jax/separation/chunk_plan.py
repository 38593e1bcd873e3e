"""Which chunks of a stream are separated, how long they are, and where the last one goes."""

from typing import NamedTuple

from xumx_jax.models.interface import Segment


class Chunk(NamedTuple):
    """Samples `start` to `stop` of a stream, whose stems are wanted from `wanted` on.

    What lies before that is context.
    """

    start: int
    wanted: int
    stop: int


class Batch(NamedTuple):
    """Chunks that run at once, each filled up to `length`; `last`: the stream ends with them."""

    length: int
    chunks: list[Chunk]
    last: bool


class ChunkPlan:
    """Chunks of about `samples` for a model that takes `segment`s.

    overlap  part that neighbours share. With an overlap chunks begin at multiples of `unit`, and
             the last one is moved back so that it has real context on its left; what it still has
             behind the end of the stream is less than `unit`. With 0 chunks butt, and the last one
             is as long as what is left, with context on its left where the model takes nothing so
             short.
    unit     samples; by default the segment's own grid

    Raises ValueError where the model takes no length near `samples`.
    """

    def __init__(self, segment: Segment, samples: float, overlap: float, unit: int | None = None):
        self.segment, self.overlap = segment, overlap
        self.unit = 1 if not overlap else unit or segment.grid
        wanted = max(1, round(samples / self.unit)) * self.unit
        self.length = segment.chunk(wanted)
        step = int(self.length * (1 - overlap)) // self.unit * self.unit
        self.step = max(self.unit, step) if overlap else self.length

    def reach(self, at: int, count: int) -> int:
        """How far a stream must be known to plan `count` chunks from sample `at` on."""
        # one sample more tells whether the chunk is the last one
        return at + (count - 1) * self.step + self.length + 1

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """The next `count` chunks or less, from `at` on, of a stream that is `known` so far.

        `over`: it ends there. An empty batch ends the plan.
        """
        length, chunks = self.length, []
        while len(chunks) < count and at + length < known:
            chunks.append(Chunk(at, at, at + length))
            at += self.step
        if not (over and len(chunks) < count):
            return Batch(length, chunks, False)
        if not self.overlap:
            # the rest has a length of its own, so it runs alone
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
