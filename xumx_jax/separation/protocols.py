"""How other programs cut a track into chunks and blend them: plans for the engine for chunks.

A plan is a class made from (model, samples of a chunk, overlap, transition power), with the
attributes and methods of a `ChunkPlan`, and `overlap`, its program's own. An entry of PROTOCOLS
says which one a model gets. Chunks keep their length when memory is short, since the stems depend
on it.
"""

from typing import Literal

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.models.interface import optional
from xumx_jax.separation import audio_separator
from xumx_jax.separation.chunk_plan import (
    Batch,
    Chunk,
    check_plain,
    check_samples,
    whole_step,
)
from xumx_jax.separation.overlap_add import triangle


class Demucs:
    """Demucs' `apply_model`: a chunk begins at every multiple of `step` before the track's end.

    A chunk shorter than what the model takes lies in the middle of it, with the music around it on
    both sides, and silence where there is none. Chunks are blended by a triangle to the power of
    `power`, of which a short last chunk gets the beginning.

    length   what the model gets for a whole chunk, in samples
    step     from one chunk to the next
    blended  whether chunks are blended
    """

    overlap = 0.25

    def __init__(self, model, samples: float, overlap: float, power: float):
        self.samples = check_samples(model, samples)
        self.blended = bool(overlap)
        self._fit = optional(model, "valid_length") or model.segment.fit
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

    def cut(self, buffer, chunk: Chunk, length: int, lead: int, silence: float) -> np.ndarray:
        """A chunk with what is around it, as [channel, length].

        The first `lead` samples of the stream, and all that it has not got, are `silence`.
        """
        return buffer.surrounded(chunk.start, chunk.start + length, silence, lead)

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """As in `ChunkPlan`: the beginning of those of a whole chunk."""
        return self._window[: chunk.stop - chunk.wanted]

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


class Msst:
    """The `demix` of ZFTurbo's Music-Source-Separation-Training, with its weights at borders.

    A track that is long enough is continued on both sides, by its reflection, as far as neighbours
    overlap; a chunk begins at every multiple of `step`, and a short one is continued by its
    reflection, or by silence if it has less than half a chunk. A tenth of a chunk fades in and out.
    The first chunk does not fade in if it runs alone, and the chunks that run at once with the last
    one do not fade out, so the stems depend on how many run at once; where all weights are 0, as at
    the joints of chunks that do not overlap, they are silent. Of models of one length, chunks are
    averaged as they are, and followed by silence.

    The fields are those of `Demucs`; `at` counts from the beginning of what was continued.
    """

    blended = True
    overlap = 0.5  # its num_overlap is 2 or 4

    def __init__(self, model, samples: float, overlap: float, power: float):
        check_plain(power, "msst")
        self.samples = check_samples(model, samples)
        self.length = model.segment.fit(self.samples)
        self.step = whole_step(self.samples, overlap)
        self.plain = model.segment.largest is not None
        self.border = 0 if self.plain else self.samples - self.step
        self.fade = 0 if self.plain else self.samples // 10
        self.before = 0  # samples that are put before the track

    def reach(self, at: int, count: int) -> int:
        """As in `ChunkPlan`: whether the stream goes on behind these chunks must be known."""
        return max(at + count * self.step + self.samples, 2 * self.border) + 1

    def keep(self, at: int) -> int:
        """As in `ChunkPlan`; the end may be reflected."""
        return at - 2 * self.border - self.samples

    def padding(self, batch: Batch) -> Literal["constant"]:
        """Silence: chunks are as long as the model takes them."""
        return "constant"

    def next(self, at: int, count: int, known: int, over: bool) -> Batch:
        """As in `ChunkPlan`."""
        self.before = self.border if known > 2 * self.border else 0
        total = known + 2 * self.before
        starts = [at + number * self.step for number in range(count)]
        if over:
            starts = [start for start in starts if start < total]
        following = at + len(starts) * self.step
        chunks = [
            Chunk(place, max(0, place), min(place + self.samples, known))
            for place in (start - self.before for start in starts)
        ]
        ends = over and following >= total
        heard = [chunk for chunk in chunks if chunk.wanted < chunk.stop]
        self._lifted = at == 0 and len(starts) == 1, ends
        self._total = total if over else None
        return Batch(self.length, heard, ends, following)

    def cut(self, buffer, chunk: Chunk, length: int, lead: int, silence: float) -> np.ndarray:
        """As in `Demucs`."""
        stop = chunk.start + self.samples
        if self._total is not None:
            stop = min(stop, self._total - self.before)
        places = np.arange(chunk.start, stop)
        end = buffer.end
        places = np.abs(places)
        places = np.where(places < end, places, 2 * (end - 1) - places) if self.before else places
        low, high = places.min(), places.max() + 1
        wave = buffer.cut(low, high)[:, places - low]
        missing = length - wave.shape[1]
        if not missing:
            return wave
        reflected = wave.shape[1] > self.samples // 2 and not self.plain
        short = min(missing, self.samples - wave.shape[1])
        wave = np.pad(wave, ((0, 0), (0, short)), mode="reflect" if reflected else "constant")
        return np.pad(wave, ((0, 0), (0, missing - short)), constant_values=silence)

    def weights(self, batch: Batch, chunk: Chunk) -> np.ndarray:
        """As in `ChunkPlan`."""
        window = np.ones(self.samples, np.float32)
        begins, ends = self._lifted
        if self.fade and not begins:
            window[: self.fade] = np.linspace(0, 1, self.fade)
        if self.fade and not ends:
            window[-self.fade :] = np.linspace(1, 0, self.fade)
        return window[chunk.wanted - chunk.start : chunk.stop - chunk.start]


def original(model):
    """The plan of a model's own program. Raises UserError for one that takes whole tracks."""
    name = optional(model, "protocol")
    if name is None:
        raise UserError(
            "protocol original: the model's program has no chunks of its own; leave it out"
        )
    return PROTOCOLS[name](model)


# {name: (model) -> the plan of its chunks, which raises UserError if that program has none}
PROTOCOLS = {
    "original": original,
    "demucs": lambda model: Demucs,
    "msst": lambda model: Msst,
    "audio-separator": audio_separator.family,
}
