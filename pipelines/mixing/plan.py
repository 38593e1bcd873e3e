"""What one training example is made of: a pure function of (seed, example index).

A counter-based generator (Philox, keyed by the two numbers) gives every example its own numbers, so
resuming needs no stored state, and hosts and threads may work in any order.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.mixing.effects import EFFECTS, is_of_mixture
from pipelines.mixing.ranges import between
from pipelines.mixing.recipe import Recipe

# One row of uniform numbers per decision; a new row goes last, so earlier draws do not change.
# Effects that a recipe lists in `effects` have their own streams.
ROWS = (
    "song", "mix_gain", "track", "start", "gain", "swap", "drop", "resample", "ratio",
    "shelf", "low_db", "high_db", "low_hz", "high_hz", "polarity", "level",
)  # fmt: skip
# Streams of one seed differ in the last word of the counter.
TURNS, EFFECT = 1, 2


@dataclass(frozen=True)
class Draw:
    """The decisions for one example, each an array [source].

    track    number of the track
    start    of the excerpt, as a fraction of the possible starts
    gain     a factor; negative values invert the polarity, 0 leaves the source out
    swap     whether left and right are swapped
    level    a number from 0 to 1, for the scene if the tracks have one
    effects  (name in EFFECTS, values [source, ...]) in the order in which they are applied
    """

    track: np.ndarray
    start: np.ndarray
    gain: np.ndarray
    swap: np.ndarray
    effects: tuple[tuple[str, np.ndarray], ...] = ()
    level: float = 0.0


def draw(recipe: Recipe, seed: int, index: int, tracks: Sequence[int]) -> Draw:
    """Draw everything random about example `index`, given how many `tracks` each source has.

    Equal arguments give equal results on every machine. Sources with as many tracks as the first
    may come from the same song, if the recipe says so.
    """
    sources, counts = len(tracks), np.asarray(tracks)
    generator = np.random.Generator(np.random.Philox(key=[seed, index]))
    numbers = dict(zip(ROWS, generator.random((len(ROWS), sources + 1)), strict=True))
    own = {name: row[:sources] for name, row in numbers.items()}
    common = {name: row[sources] for name, row in numbers.items()}

    opening = index < recipe.coherent_examples
    together = opening or common["song"] < recipe.same_song
    place = _of_sources(numbers, together)
    track = np.minimum((place["track"] * counts).astype(np.int64), counts - 1)
    if recipe.balanced and (together or recipe.anchor):
        track[: sources if together else 1] = turn(seed, index, int(counts[0]))
    start = place["start"] if recipe.random_start else np.full(sources, 0.5)
    swap = own["swap"] < recipe.swap
    if opening and not recipe.coherent_effects:
        return Draw(track, start, np.ones(sources), swap, level=common["level"])

    if recipe.gain_db is None:
        gain = between(recipe.gain, own["gain"])
    else:
        gain = 10 ** (between(recipe.gain_db, own["gain"]) / 20)
    gain = gain * 10 ** (between(recipe.mix_gain_db, common["mix_gain"]) / 20)
    gain = np.where(own["polarity"] < recipe.polarity, -gain, gain)
    dropped = own["drop"] < recipe.drop
    dropped[np.argmax(own["drop"])] = False  # never all of them
    effects = [
        (name, _values(name, options, numbers, together)) for name, options in recipe.own_effects
    ]
    for name, options in recipe.effects:
        rows = effect_numbers(seed, index, name, sources)
        effects.append((name, _values(name, options, rows, together)))
    gain = np.where(dropped, 0.0, gain)
    return Draw(track, start, gain, swap, tuple(effects), common["level"])


def turn(seed: int, index: int, tracks: int) -> int:
    """The song whose turn it is: a new order in every pass, each song once per pass."""
    number, place = divmod(index, tracks)
    return int(_order(seed, number, tracks)[place])


def effect_numbers(seed: int, index: int, name: str, sources: int) -> dict[str, np.ndarray]:
    """The uniform numbers of an effect for one example, {row: [source + 1]}; the last is common.

    They depend only on the seed, the example, the effect's name and the number of sources.
    """
    word = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    stream = np.random.Philox(key=[seed, index], counter=[0, 0, word, EFFECT])
    rows = EFFECTS[name].ROWS
    numbers = np.random.Generator(stream).random((len(rows), sources + 1))
    return dict(zip(rows, numbers, strict=True))


def _values(name, options, numbers, together) -> np.ndarray:
    effect = EFFECTS[name]
    alike = is_of_mixture(name) or (together and effect.TOGETHER)
    return effect.draw(_of_sources(numbers, alike), **options)


def _of_sources(numbers, together: bool) -> dict[str, np.ndarray]:
    """{row: [source + 1]} -> {row: [source]}: each source's own number, or the common one."""
    if together:
        return {name: np.full(len(row) - 1, row[-1]) for name, row in numbers.items()}
    return {name: row[:-1] for name, row in numbers.items()}


@functools.lru_cache(maxsize=16)
def _order(seed, number, tracks):
    # Independent of the numbers of example `number`: the counter starts elsewhere.
    stream = np.random.Philox(key=[seed, number], counter=[0, 0, 0, TURNS])
    return np.random.Generator(stream).permutation(tracks)
