"""What one training example is made of: a pure function of (seed, example index).

A counter-based generator (Philox, keyed by the two numbers) gives every example its own numbers, so
nothing has to be remembered to resume, and hosts and threads may work in any order.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xumx_jax.errors import UserError

# One row of uniform numbers per decision; a new row goes to the end, which leaves old draws alone.
ROWS = (
    "song", "mix_gain", "track", "start", "gain", "swap", "drop", "resample", "ratio",
    "shelf", "low_db", "high_db", "low_hz", "high_hz", "polarity",
)  # fmt: skip


def _is_range(value) -> bool:
    """Whether these are two finite numbers, the lower first."""
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    return len(value) == 2 and numbers and value[0] <= value[1]


@dataclass(frozen=True)
class Recipe:
    """How examples are mixed. The defaults are those of the published X-UMX.

    Ranges are (low, high) and drawn uniformly; `*_hz` uniformly in octaves.
    """

    same_song: float = 0.0  # share of examples whose sources all come from one place of one song
    anchor: bool = (
        False  # in the others, the first source still comes from the song whose turn it is
    )
    balanced: bool = True  # songs take turns, each once in as many examples as there are songs ...
    random_start: bool = True  # ... and give a random place, not always their middle
    coherent_examples: int = 0  # so many examples at the start are all same-song ...
    coherent_effects: bool = False  # ... and, unless this is set, as mixed: channel swap only
    gain: tuple[float, float] = (0.25, 1.25)  # factor per source
    gain_db: tuple[float, float] | None = None  # per source in dB, instead of `gain`
    mix_gain_db: tuple[float, float] = (0.0, 0.0)  # common to all sources
    swap: float = 0.5  # probability, per source, that left and right change places
    polarity: float = 0.0  # probability, per source, of being turned upside down
    drop: float = 0.0  # probability, per source, of silence; one source always stays
    resample: float = 0.0  # probability of a changed pitch and tempo; together if same-song
    resample_range: float = 0.12  # by up to this share, up or down
    shelf: float = 0.0  # probability, per source, of a low and a high shelving filter
    shelf_db: tuple[float, float] = (-6.0, 6.0)
    shelf_low_hz: tuple[float, float] = (80.0, 400.0)
    shelf_high_hz: tuple[float, float] = (1500.0, 6000.0)

    def __post_init__(self):
        for name in ("same_song", "swap", "polarity", "drop", "resample", "shelf"):
            self._want(name, lambda share: 0 <= share <= 1, "0 to 1")
        self._want("resample_range", lambda share: 0 <= share < 0.5, "0 to 0.5")
        self._want("coherent_examples", lambda count: count >= 0, "0 or more")
        for name in ("gain", "gain_db", "mix_gain_db", "shelf_db"):
            self._want(name, _is_range, "two numbers, (low, high)")
        for name in ("shelf_low_hz", "shelf_high_hz"):
            wanted = "two numbers above 0, (low, high)"
            self._want(name, lambda range_: _is_range(range_) and range_[0] > 0, wanted)

    def _want(self, name, holds, wanted):
        value = getattr(self, name)
        if value is not None and not holds(value):
            raise UserError(f"config.recipe.{name} is {value}, wanted {wanted}")

    @property
    def as_filed(self) -> bool:
        """Whether a device can do all that is to be done to samples as they lie in their files."""
        return self.resample == 0 and self.shelf == 0

    @property
    def needs_songs(self) -> bool:
        """Whether sources of one track must belong together."""
        return self.same_song > 0 or self.coherent_examples > 0


RECIPES = {
    "xumx": Recipe(),
    # Measured to suit a small model and generated songs; coherent_examples is the config's to set.
    # Its songs do not take turns: the bundled model was trained before they could.
    "demo": Recipe(
        same_song=0.7,
        balanced=False,
        gain_db=(-8.0, 6.0),
        mix_gain_db=(-6.0, 3.0),
        drop=0.08,
        resample=0.4,
        shelf=0.5,
    ),
}


@dataclass(frozen=True)
class Draw:
    """The decisions for one example, each an array [source].

    `start` is a fraction of the starts that are possible. A gain below 0 turns the polarity over; a
    dropped source has gain 0. `ratio` is input samples per output sample: above 1 is higher and
    faster. `shelves` [source, 4] is low Hz, low dB, high Hz, high dB; 0 dB twice means no filter.
    """

    track: np.ndarray
    start: np.ndarray
    gain: np.ndarray
    swap: np.ndarray
    ratio: np.ndarray
    shelves: np.ndarray


def draw(recipe: Recipe, seed: int, index: int, tracks: Sequence[int]) -> Draw:
    """Decide all that is random about example `index`, given how many `tracks` each source has.

    Equal arguments give equal results on every machine. Sources with as many tracks as the first
    may come from one song, if the recipe says so.
    """
    sources, counts = len(tracks), np.asarray(tracks)
    generator = np.random.Generator(np.random.Philox(key=[seed, index]))
    numbers = dict(zip(ROWS, generator.random((len(ROWS), sources + 1)), strict=True))
    own = {name: row[:sources] for name, row in numbers.items()}
    common = {name: row[sources] for name, row in numbers.items()}

    opening = index < recipe.coherent_examples
    together = opening or common["song"] < recipe.same_song
    place = own
    if together:
        place = {name: np.full(sources, value) for name, value in common.items()}
    track = np.minimum((place["track"] * counts).astype(np.int64), counts - 1)
    if recipe.balanced and (together or recipe.anchor):
        track[: sources if together else 1] = turn(seed, index, int(counts[0]))
    start = place["start"] if recipe.random_start else np.full(sources, 0.5)
    swap = own["swap"] < recipe.swap
    if opening and not recipe.coherent_effects:
        still = np.ones(sources)
        return Draw(track, start, still, swap, still, np.zeros((sources, 4)))

    if recipe.gain_db is None:
        gain = _between(recipe.gain, own["gain"])
    else:
        gain = 10 ** (_between(recipe.gain_db, own["gain"]) / 20)
    gain = gain * 10 ** (_between(recipe.mix_gain_db, common["mix_gain"]) / 20)
    gain = np.where(own["polarity"] < recipe.polarity, -gain, gain)
    dropped = own["drop"] < recipe.drop
    dropped[np.argmax(own["drop"])] = False  # never all of them
    ratio = 1 + _between((-recipe.resample_range, recipe.resample_range), place["ratio"])
    filtered = own["shelf"] < recipe.shelf
    shelves = np.stack(
        [
            _octaves(recipe.shelf_low_hz, own["low_hz"]),
            _between(recipe.shelf_db, own["low_db"]),
            _octaves(recipe.shelf_high_hz, own["high_hz"]),
            _between(recipe.shelf_db, own["high_db"]),
        ],
        axis=1,
    )
    return Draw(
        track=track,
        start=start,
        gain=np.where(dropped, 0.0, gain),
        swap=swap,
        ratio=np.where(place["resample"] < recipe.resample, ratio, 1.0),
        shelves=np.where(filtered[:, None], shelves, 0.0),
    )


def turn(seed: int, index: int, tracks: int) -> int:
    """The song whose turn it is: a new order in every pass, each song once a pass."""
    number, place = divmod(index, tracks)
    return int(_order(seed, number, tracks)[place])


@functools.lru_cache(maxsize=16)
def _order(seed, number, tracks):
    # Apart from the numbers of example `number`: the counter starts at another place.
    return np.random.Generator(
        np.random.Philox(key=[seed, number], counter=[0, 0, 0, 1])
    ).permutation(tracks)


def _between(limits, uniform):
    low, high = limits
    return low + (high - low) * uniform


def _octaves(limits, uniform):
    low, high = limits
    return low * (high / low) ** uniform
