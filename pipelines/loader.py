"""Batches for training and validation, [batch, source, channel, time] float32.

Example i of a seed is always the same, whatever the number of threads or hosts, so training resumes
at step n by asking for the examples from n * batch on.
"""

import collections
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipelines import augment
from pipelines.folder import Folder
from pipelines.recipe import Recipe, draw
from xumx_jax.errors import UserError


class Loader:
    """Training batches, rendered by background threads: a context manager to iterate over.

        with Loader(folder, recipe, seed, batch=16, samples=88200, first=step * 16) as batches:
            for stems in batches: ...

    `first` and `last` are example indices (`last` excluded, None: endless; a remainder smaller than
    `batch` is dropped). `batch` is the global one: of `process_count` hosts, each gets its slice.
    Beside the batch in use, at most `prefetch` + `workers` - 1 are held, finished or in the making.
    What goes wrong in a thread is raised where the batch would have come.
    """

    def __init__(
        self, folder: Folder, recipe: Recipe, seed: int, batch: int, samples: int, *,
        first: int = 0, last: int | None = None, workers: int = 2, prefetch: int = 2,
        process_index: int = 0, process_count: int = 1,
    ):  # fmt: skip
        self.folder, self.recipe, self.seed, self.samples = folder, recipe, seed, samples
        self.batch, self.first, self.last = batch, first, last
        self.workers, self.ahead = workers, max(1, prefetch) + workers
        self.own = _own_slice(batch, process_index, process_count)
        if all(length == 0 for _, length in folder.tracks):
            raise UserError(f"{folder.root}: all tracks are empty")
        self._stop, self._pool = None, None

    def __enter__(self):
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="loader")
        return self

    def __exit__(self, *_):
        self._stop.set()  # between two examples, so that leaving takes milliseconds
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._pool is None:
            raise RuntimeError("use the loader as a context manager: with Loader(...) as batches")
        start, waiting = self.first, collections.deque()
        while True:
            while len(waiting) < self.ahead and self._fits(start):
                indices = range(start, start + self.batch)[self.own]
                waiting.append(self._pool.submit(self._render, indices, self._stop))
                start += self.batch
            if not waiting:
                return
            yield waiting.popleft().result()

    def _fits(self, start: int) -> bool:
        return self.last is None or start + self.batch <= self.last

    def examples(self, indices) -> np.ndarray:
        """Render the examples of these indices here and now, [batch, source, channel, time]."""
        return self._render(indices, threading.Event())

    def _render(self, indices, stop: threading.Event) -> np.ndarray:
        folder = self.folder
        shape = (len(indices), len(folder.sources), folder.channels, self.samples)
        stems = np.zeros(shape, np.float32)
        for row, index in enumerate(indices):
            if stop.is_set():
                break
            render(folder, self.recipe, self.seed, index, stems[row])
        return stems


def render(folder: Folder, recipe: Recipe, seed: int, index: int, out: np.ndarray) -> None:
    """Write example `index` into `out`, zeros [source, channel, time]."""
    sources, _, samples = out.shape
    plan = draw(recipe, seed, index, sources, len(folder.tracks))
    for source in range(sources):
        if plan.gain[source] == 0:
            continue
        track, ratio = int(plan.track[source]), plan.ratio[source]
        needed = augment.input_samples(samples, ratio)
        starts = max(0, folder.tracks[track][1] - needed) + 1
        wave = folder.read(track, source, int(plan.start[source] * starts), needed)
        wave = augment.resample(wave, ratio, samples)
        wave = augment.shelve(wave, folder.rate, plan.shelves[source])
        if plan.swap[source]:
            wave = wave[::-1]
        np.multiply(wave, np.float32(plan.gain[source]), out=out[source])


def excerpts(
    folder: Folder, samples: int, batch: int = 1, *, process_index: int = 0, process_count: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut tracks into consecutive pieces: stems [batch, source, channel, time], weights [batch].

    What is left at a track's end is dropped, unless it is all there is; then silence follows. A
    piece weighs 1 / (pieces of its track), so a weighted mean is the mean over tracks of each
    track's mean, as in the reference. The last batch is filled up with silence of weight 0.
    """
    own = _own_slice(batch, process_index, process_count)
    pieces = []
    for track, (_, length) in enumerate(folder.tracks):
        count = max(1, length // samples)
        pieces += [(track, piece * samples, 1 / count) for piece in range(count)]
    pieces += [(None, 0, 0.0)] * (-len(pieces) % batch)
    for start in range(0, len(pieces), batch):
        mine = pieces[start : start + batch][own]
        stems = np.zeros((len(mine), len(folder.sources), folder.channels, samples), np.float32)
        for row, (track, begin, _) in enumerate(mine):
            if track is not None:
                for source in range(len(folder.sources)):
                    stems[row, source] = folder.read(track, source, begin, samples)
        yield stems, np.asarray([weight for _, _, weight in mine], np.float32)


def _own_slice(batch: int, process_index: int, process_count: int) -> slice:
    if batch % process_count:
        raise UserError(f"batch {batch} does not divide among {process_count} hosts")
    share = batch // process_count
    return slice(process_index * share, (process_index + 1) * share)
