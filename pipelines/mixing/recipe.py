"""How training examples are mixed: the options, and named recipes."""

from dataclasses import dataclass

from pipelines.mixing.ranges import is_range
from xumx_jax.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """How examples are mixed. The defaults are those of the published X-UMX.

    Ranges are (low, high) and drawn uniformly; `*_hz` uniformly in octaves.
    """

    same_song: float = 0.0  # share of examples whose sources all come from one place of one song
    anchor: bool = False  # in mixed examples too, the first source's song is the next in turn
    balanced: bool = True  # same-song examples take all songs in turn, not at random
    random_start: bool = True  # excerpts begin at random places; else they are from the middle
    coherent_examples: int = 0  # number of examples at the start of a run that are all same-song
    coherent_effects: bool = False  # the `coherent_examples` get gains and effects, not only swaps
    gain: tuple[float, float] = (0.25, 1.25)  # factor, per source
    gain_db: tuple[float, float] | None = None  # gain in dB, per source, instead of `gain`
    mix_gain_db: tuple[float, float] = (0.0, 0.0)  # gain of the whole mixture in dB
    swap: float = 0.5  # probability, per source, that left and right change places
    polarity: float = 0.0  # probability, per source, of inverted polarity
    drop: float = 0.0  # probability, per source, of silence; one source always stays
    resample: float = 0.0  # probability, per source, of a changed pitch and tempo
    # (one decision for all sources if same-song)
    resample_range: float = 0.12  # largest change of pitch and tempo, as a share, up or down
    shelf: float = 0.0  # probability, per source, of a low and a high shelving filter
    shelf_db: tuple[float, float] = (-6.0, 6.0)  # gain of each shelving filter
    shelf_low_hz: tuple[float, float] = (80.0, 400.0)  # corner of the low filter
    shelf_high_hz: tuple[float, float] = (1500.0, 6000.0)  # corner of the high filter
    effects: tuple = ()  # further effects, after these: ((name in EFFECTS, {option: value}), ...)

    def __post_init__(self):
        for name in ("same_song", "swap", "polarity", "drop", "resample", "shelf"):
            self._want(name, lambda share: 0 <= share <= 1, "0 to 1")
        self._want("resample_range", lambda share: 0 <= share < 0.5, "0 to 0.5")
        self._want("coherent_examples", lambda count: count >= 0, "0 or more")
        for name in ("gain", "gain_db", "mix_gain_db", "shelf_db"):
            self._want(name, is_range, "two numbers, (low, high)")
        for name in ("shelf_low_hz", "shelf_high_hz"):
            wanted = "two numbers above 0, (low, high)"
            self._want(name, lambda range_: is_range(range_) and range_[0] > 0, wanted)
        if self.effects:
            self._check_effects()

    def _check_effects(self):
        from pipelines.mixing import effects  # brings SciPy, which configs do without

        wanted = "((name, {option: value}), ...), each name once"
        self._want("effects", lambda pairs: all(map(_is_effect, pairs)), wanted)
        self._want("effects", lambda pairs: len(dict(pairs)) == len(pairs), wanted)
        for name, options in self.effects:
            effects.check(name, options)
        effects.check_order(name for name, _ in (*self.own_effects, *self.effects))

    def _want(self, name, holds, wanted):
        value = getattr(self, name)
        if value is not None and not holds(value):
            raise UserError(f"config.recipe.{name} is {value}, wanted {wanted}")

    @property
    def as_filed(self) -> bool:
        """Whether the device can do everything, so that samples stay as they are in their files."""
        return not (self.own_effects or self.effects)

    @property
    def own_effects(self) -> list[tuple[str, dict]]:
        """The effects with fields of their own here, if used: names in EFFECTS and options."""
        chain = []
        if self.resample:
            options = {"probability": self.resample, "limit": self.resample_range}
            chain.append(("resample", options))
        if self.shelf:
            hertz = {"low_hz": self.shelf_low_hz, "high_hz": self.shelf_high_hz}
            options = {"probability": self.shelf, "gain_db": self.shelf_db, **hertz}
            chain.append(("shelving_filter", options))
        return chain

    @property
    def needs_songs(self) -> bool:
        """Whether the sources of one track must belong together."""
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


def _is_effect(pair) -> bool:
    """Return whether this is (name, options)."""
    is_pair = isinstance(pair, tuple | list) and len(pair) == 2
    return is_pair and isinstance(pair[0], str) and isinstance(pair[1], dict)
