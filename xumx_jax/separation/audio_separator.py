"""How python-audio-separator, which runs UVR's models, cuts tracks: a way for each kind of network.

The plans have the attributes and methods of a `ChunkPlan`; see `separation.protocols`. Where that
program fails, or is not a number, these do what its rule means: a track that is shorter than a
chunk is followed by silence, and chunks that do not fit a whole number of times into each other are
averaged by their number.
"""

from typing import Literal

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.interface import optional
from xumx_jax.separation.chunk_plan import (
    Batch,
    Chunk,
    check_plain,
    check_samples,
    whole_step,
)


class Weighted:
    """A chunk at every multiple of `step`, from `first` on, with silence around the track.

    length   what the model gets, in samples
    samples  of a chunk
    step     from one chunk to the next
    """

    blended = True
    overlap = 0.25

    def __init__(self, model, samples: int, step: int, first: int, power: float):
        check_plain(power, "audio-separator")
        self.samples, self.step, self.first = check_samples(model, samples), max(1, step), first
        self.length = model.segment.fit(self.samples)

    def reach(self, at: int, count: int) -> int:
        """As in `ChunkPlan`; `at` counts from `first`."""
        return max(1, self.first + at + (count - 1) * self.step + self.samples + 1)

    def keep(self, at: int) -> int:
        """As in `ChunkPlan`: the last chunk may begin before the one that would follow."""
        return self.first + at - self.samples

    def cut(self, buffer, chunk: Chunk, length: int, lead: int, silence: float) -> np.ndarray:
        """A chunk with silence where the stream has nothing, as [channel, length]."""
        wave = buffer.surrounded(chunk.start, chunk.start + length, silence, lead)
        wave[:, self.samples :] = silence
        return wave

    def padding(self, batch: Batch) -> Literal["constant"]:
        """Silence."""
        return "constant"

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """As in `ChunkPlan`."""
        chunks = []
        while len(chunks) < count:
            start = self.first + at
            if start >= known if over else not self.ready(at, known):
                break
            if start + self.samples > 0:
                stop = min(start + self.samples, known)
                chunks.append(Chunk(start, max(0, start), stop))
            at += self.step
        return Batch(self.length, chunks, over and self.first + at >= known, at)

    def ready(self, at: int, known: int) -> bool:
        """Whether all that concerns a chunk is known before the stream has ended."""
        return self.first + at + self.samples <= known

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """All alike."""
        return np.ones(chunk.stop - chunk.wanted, np.float32)


class LikeRoFormer(Weighted):
    """Chunks under a Hamming window; those past the end are the track's last chunk instead.

    Usually they do not overlap: that program's 8 s are as long as most chunks.
    """

    overlap = 0.0

    def __init__(self, model, samples: float, overlap: float, power: float):
        super().__init__(model, int(samples), round(int(samples) * (1 - overlap)), 0, power)
        self.window = np.hamming(self.samples).astype(np.float32)

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """As in `ChunkPlan`."""
        chunks = []
        while len(chunks) < count and at + self.samples <= known:
            chunks.append(Chunk(at, at, at + self.samples))
            at += self.step
        self._times = 1
        ends = over and at >= known
        if over and len(chunks) < count and not ends:
            # as often as chunks would extend past the end
            self._times = -(-(known - at) // self.step)
            start = max(0, known - self.samples)
            chunks.append(Chunk(start, start, known))
            ends = True
        return Batch(self.length, chunks, ends, at)

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """As in `ChunkPlan`."""
        last = batch.last and chunk is batch.chunks[-1]
        return self.window[: chunk.stop - chunk.wanted] * np.float32(self._times if last else 1)


class LikeMdx23c(Weighted):
    """Every sample is in as many chunks as fit into each other, which count alike."""

    overlap = 7 / 8

    def __init__(self, model, samples: float, overlap: float, power: float):
        step = whole_step(int(samples), overlap)
        super().__init__(model, int(samples), step, step - int(samples), power)


class LikeMdxNet(Weighted):
    """Chunks under a Hann window, over a track with silence before it and behind it.

    There is as much silence before it as half a window of the transform, and as much behind it as
    makes it a multiple of what that would leave of a chunk. The last chunks are shorter, and so are
    their windows.
    """

    def __init__(self, model, samples: float, overlap: float, power: float):
        trim = model.transform.n_fft // 2
        super().__init__(model, int(samples), int((1 - overlap) * int(samples)), -trim, power)
        self.left = self.samples - 2 * trim
        if self.left < 1:
            raise UserError(
                f"a chunk has {self.samples} samples, and the transform's windows {2 * trim}; "
                "use a larger chunk_seconds"
            )
        self.flat = not overlap

    def reach(self, at: int, count: int) -> int:
        """As in `ChunkPlan`; how much silence follows depends on the track's length."""
        last = at + (count - 1) * self.step
        return max(super().reach(at, count), -(-last // self.left) * self.left + 1)

    def ready(self, at: int, known: int) -> bool:
        """As in `Weighted`; a chunk that extends past the silence behind the track is shorter."""
        return super().ready(at, known) and at <= known - known % self.left

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """As in `ChunkPlan`."""
        self._total = known - known % self.left + self.samples
        return super().next(at, count, known, over)

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """As in `ChunkPlan`."""
        if self.flat:
            return super().weights(batch, chunk)
        count = min(self.samples, self._total - (chunk.start - self.first))
        window = np.hanning(count).astype(np.float32)
        return window[chunk.wanted - chunk.start : chunk.stop - chunk.start]


FAMILIES = {"roformer": LikeRoFormer, "mdx23c": LikeMdx23c, "mdxnet": LikeMdxNet}


def family(model):
    """The plan for a model. Raises UserError for one that the program does not run."""
    name = optional(model, "audio_separator")
    if name is None:
        raise UserError(
            "protocol audio-separator is for RoFormers, MDX23C and MDX-Net; use another one, or "
            "leave it out"
        )
    return FAMILIES[name]
