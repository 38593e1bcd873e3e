"""Make training batches from any `pipelines.tracks.random_access.Tracks`.

Example i of a seed is always the same, whatever the number of workers or hosts and whatever the
engine, so training resumes at step n by asking for the examples from n * batch on.
"""

import dataclasses
import functools
import math
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from pipelines.batch_memory import Recycler
from pipelines.engines import ENGINES
from pipelines.mixing import effects
from pipelines.mixing.plan import Draw, draw
from pipelines.mixing.recipe import Recipe
from xumx_jax.errors import UserError
from xumx_jax.training.batches import Examples

BUCKET_SECONDS = 10  # whole tracks are padded to multiples of this, so that few shapes compile


class Loader:
    """Training batches, made in the background: a context manager to iterate over.

        with Loader(tracks, recipe, seed, batch=16, samples=264600, first=step * 16) as batches:
            for examples in batches: ...

    `samples` is the length of an example; 0 or less: whole tracks, all sources of one song from its
    start, followed by silence. `first` and `last` are example indices (`last` excluded, None:
    endless; a remainder smaller than `batch` is dropped). `batch` is the global batch size: each of
    `process_count` hosts gets its slice. Errors in the background are raised where the batch would
    have come.

    16-bit stems are returned as stored in their files, unless the recipe filters or resamples:
    then, and for other files, as float32. Gain, swap and polarity are left to the device.
    """

    def __init__(
        self, tracks, recipe: Recipe, seed: int, batch: int, samples: int, *,
        first: int = 0, last: int | None = None, workers: int = 2, prefetch: int = 2,
        process_index: int = 0, process_count: int = 1, engine: str = "tf",
    ):  # fmt: skip
        if samples <= 0:
            recipe = dataclasses.replace(recipe, same_song=1.0, balanced=True)
        if recipe.needs_songs and not tracks.aligned:
            wanted = "recipe.same_song 0, recipe.coherent_examples 0 and examples of fixed length"
            raise UserError(f"{tracks.root}: its files do not make up songs; wanted {wanted}")
        if engine not in ENGINES:
            raise UserError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
        if workers < 1:
            raise UserError(f"{workers} workers; wanted at least 1")
        if not any(
            tracks.length(s, t) for s, count in enumerate(tracks.counts) for t in range(count)
        ):
            raise UserError(f"{tracks.root}: all tracks are empty")
        used = (name for name, _ in (*recipe.own_effects, *recipe.effects))
        effects.check_channels(used, tracks.channels)
        self.tracks, self.batch, self.first = tracks, batch, first
        self.count = None if last is None else max(0, last - first) // batch
        self.own = own_slice(batch, process_index, process_count)
        self.draw = functools.partial(_drawn, tracks, recipe, seed, samples)
        self.make = functools.partial(
            make_examples, tracks, recipe, seed, samples, Recycler().empty
        )
        self.background = functools.partial(
            ENGINES[engine], count=self.count, workers=workers, prefetch=prefetch
        )
        self._batches, self._leave = None, None

    def __enter__(self):
        first, batch, own, make = self.first, self.batch, self.own, self.make

        def batch_of(number: int, stop: threading.Event) -> Examples:
            start = first + number * batch
            return make(range(start, start + batch), own, stop)

        stack = ExitStack()
        self._batches = stack.enter_context(self.background(batch_of))
        # If the context is never left: background work must not outlive the interpreter.
        self._leave = weakref.finalize(self, stack.close)
        return self

    def __exit__(self, *_):
        self._batches = None
        self._leave()

    def __iter__(self) -> Iterator[Examples]:
        if self._batches is None:
            raise RuntimeError("use the loader as a context manager: with Loader(...) as batches")
        return self._batches

    def examples(self, indices) -> Examples:
        """Make the examples with these indices in this thread."""
        return self.make(indices, slice(None), threading.Event())

    def excerpts(self, indices) -> tuple[list[Draw], np.ndarray, np.ndarray]:
        """What is drawn for these examples, where they are from, and what is in the files there.

        The places are [example, source, (track, sample)]; the waves [example, source, time,
        channel] in float32, without gains, swaps and effects, but with the levels of a scene.
        """
        plans, samples = self.draw(indices)
        tracks = self.tracks
        shape = (len(plans), len(tracks.sources))
        places = np.zeros((*shape, 2), int)
        waves = np.zeros((*shape, samples, tracks.channels), np.float32)
        for row, plan in enumerate(plans):
            own, _ = effects.split(plan.effects)
            for source in range(shape[1]):
                lengths = effects.lengths_of(effects.chain_of(own, source), samples)
                places[row, source] = start_of(tracks, plan, source, lengths[0])
                tracks.read_into(source, *map(int, places[row, source]), waves[row, source])
            _scale(tracks, plan, waves[row])
        return plans, places, waves


def sample_type(tracks, recipe: Recipe) -> type:
    """int16 if samples can stay as they are in their files, else float32."""
    return np.int16 if tracks.integer and recipe.as_filed else np.float32


def make_examples(
    tracks, recipe: Recipe, seed: int, samples: int, empty: Callable, indices: Sequence[int],
    own: slice, stop: threading.Event,
) -> Examples:  # fmt: skip
    """Make those of the examples `indices` that are in `own`; incomplete once `stop` is set.

    `empty(shape, dtype)` supplies the memory.
    """
    plans, samples = _drawn(tracks, recipe, seed, samples, indices)  # on all hosts alike
    plans = plans[own]
    shape = (len(plans), len(tracks.sources), samples, tracks.channels)
    stems = empty(shape, sample_type(tracks, recipe))
    for plan, out in zip(plans, stems, strict=True):
        _fill(tracks, plan, out, stop)
    gain = np.stack([plan.gain for plan in plans]).astype(np.float32)
    return Examples(stems, gain, np.stack([plan.swap for plan in plans]))


def _drawn(tracks, recipe, seed, samples, indices) -> tuple[list[Draw], int]:
    """What is drawn for these examples, and their length."""
    plans = [draw(recipe, seed, index, tracks.counts) for index in indices]
    return plans, samples if samples > 0 else _bucket(tracks, plans)


def start_of(tracks, plan: Draw, source: int, samples: int) -> tuple[int, int]:
    """The track of a source and where in it its excerpt begins, of which `samples` are read."""
    track = int(plan.track[source])
    length = tracks.length(source, track)
    if tracks.scene is not None:
        return track, tracks.scene.start(
            tracks.sources[source], length, samples, plan.start[source]
        )
    return track, int(plan.start[source] * (max(0, length - samples) + 1))


def _fill(tracks, plan: Draw, out: np.ndarray, stop: threading.Event) -> None:
    """Fill [source, time, channel] with one example, and apply the host's effects to it."""
    own, of_all = effects.split(plan.effects)
    chains = [effects.chain_of(own, source) for source in range(len(out))]
    if tracks.scene is not None:
        _fill_scene(tracks, plan, chains, out, stop)
    else:
        for source, chain in enumerate(chains):
            if stop.is_set():
                return
            _read(tracks, plan, chain, source, out[source])
    if of_all and not stop.is_set():
        out[...] = effects.apply_to_all(of_all, out.swapaxes(1, 2), tracks.rate).swapaxes(1, 2)


def _read(tracks, plan: Draw, chain, source: int, out: np.ndarray) -> None:
    """Fill [time, channel] with one source's excerpt, and apply its effects to it."""
    if plan.gain[source] == 0:
        out[...] = 0
        return
    lengths = effects.lengths_of(chain, len(out))
    track, start = start_of(tracks, plan, source, lengths[0])
    if not chain:
        tracks.read_into(source, track, start, out)
        return
    frames = np.empty((lengths[0], tracks.channels), np.float32)
    tracks.read_into(source, track, start, frames)
    out[...] = effects.apply(chain, frames.T, tracks.rate, lengths).T


def _fill_scene(tracks, plan: Draw, chains, out: np.ndarray, stop: threading.Event) -> None:
    """Fill [source, time, channel] where levels depend on what is read, and apply own effects."""
    lengths = [effects.lengths_of(chain, out.shape[1]) for chain in chains]
    waves = [np.empty((own[0], tracks.channels), np.float32) for own in lengths]
    for source, wave in enumerate(waves):
        if stop.is_set():
            return
        track, start = start_of(tracks, plan, source, len(wave))
        tracks.read_into(source, track, start, wave)
    _scale(tracks, plan, waves)
    for source, (chain, wave) in enumerate(zip(chains, waves, strict=True)):
        if plan.gain[source] == 0:
            out[source] = 0
        else:
            out[source] = effects.apply(chain, wave.T, tracks.rate, lengths[source]).T


def _scale(tracks, plan: Draw, waves: Sequence[np.ndarray]) -> None:
    """Give the excerpts [time, channel] of all sources the levels that the scene wants."""
    if tracks.scene is not None:
        gains = tracks.scene.gains(tracks.sources, waves, plan.level)
        for wave, gain in zip(waves, gains, strict=True):
            wave *= np.float32(gain)


def _bucket(tracks, plans: Sequence[Draw]) -> int:
    """The length of the longest of these songs in samples, rounded up to whole buckets."""
    bucket = BUCKET_SECONDS * tracks.rate
    longest = max(
        tracks.track_lengths[int(plan.track[0])]
        / effects.speed_of(effects.chain_of(plan.effects, 0))
        for plan in plans
    )
    return max(1, math.ceil(longest / bucket)) * bucket


def own_slice(batch: int, process_index: int, process_count: int) -> slice:
    """The rows of a global batch that this host makes."""
    if batch % process_count:
        raise UserError(f"batch {batch} is not divisible by {process_count} hosts")
    share = batch // process_count
    return slice(process_index * share, (process_index + 1) * share)
