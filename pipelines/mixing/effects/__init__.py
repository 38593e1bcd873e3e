"""Effects on one source's excerpt between the file and the batch: numpy, [channel, time].

A new effect is a file here and an entry in `EFFECTS`; recipes then name it in `effects`. The file
has

    ROWS                       names of the uniform numbers that it needs for each source
    TOGETHER                   whether all sources of one song get the same numbers
    draw(rows, **options)      {row: [source]} -> values [source, ...]; may raise UserError
    changes(values)            whether these values of one source do anything
    apply(wave, values, rate, samples)   [channel, time] -> [channel, samples]

and, if its input is not as long as its output,

    input_samples(samples, values)       how many it needs in order to return `samples` samples
    speed(values)                        input samples per output sample

Its numbers come from its own random stream, keyed by seed, example index and its name, so it does
not change any other effect's numbers. An effect shares the cores with training, so it has to be
cheap; stereo as a `[channel, time]` view of interleaved memory costs least. Gain, channel swap and
polarity are not here: they are cheaper on the device than on the host.
"""

import difflib
import inspect
import math

import numpy as np

from pipelines.mixing.effects import resample, shelving_filter
from xumx_jax.errors import UserError

EFFECTS = {"resample": resample, "shelving_filter": shelving_filter}


def check(name: str, options: dict) -> None:
    """Raise UserError for an unknown effect, an unknown option or one that makes no sense."""
    if name not in EFFECTS:
        raise UserError(f"config.recipe.effects: unknown effect {name!r}{_nearest(name, EFFECTS)}")
    known = list(inspect.signature(EFFECTS[name].draw).parameters)[1:]
    for option in options:
        if option not in known:
            hint = _nearest(option, known)
            raise UserError(f"config.recipe.effects: {name} has no option {option!r}{hint}")
    try:
        EFFECTS[name].draw({row: np.zeros(1) for row in EFFECTS[name].ROWS}, **options)
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"config.recipe.effects: {name}: {error}") from error


def chain_of(effects, source: int) -> list:
    """The effects of a plan that change a source -> [(effect, values)], in order."""
    chain = [(EFFECTS[name], values[source]) for name, values in effects]
    return [(effect, values) for effect, values in chain if effect.changes(values)]


def lengths_of(chain, samples: int) -> list[int]:
    """The number of samples to read, and after each effect; the last number is `samples`."""
    lengths = [samples]
    for effect, values in reversed(chain):
        needed = getattr(effect, "input_samples", lambda samples, values: samples)
        lengths.insert(0, needed(lengths[0], values))
    return lengths


def speed_of(chain) -> float:
    """Input samples per output sample, for all effects together."""
    return math.prod(effect.speed(values) for effect, values in chain if hasattr(effect, "speed"))


def apply(chain, wave: np.ndarray, rate: int, lengths: list[int]) -> np.ndarray:
    """Apply one effect after another; `lengths` are those of `lengths_of`."""
    for (effect, values), samples in zip(chain, lengths[1:], strict=True):
        wave = effect.apply(wave, values, rate, samples)
    return wave


def _nearest(word: str, known) -> str:
    close = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint}; known: {', '.join(known)}"
