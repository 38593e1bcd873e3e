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

If it acts on the mixture, it has instead of `apply`

    apply_all(waves, values, rate)       [source, channel, time] -> the same shape

and all sources get the same numbers. It may also say what it wants:

    CHANNELS = 2                         that many channels, and no other number
    NEEDS = (package, extra)             a package that `pip install 'xumx_jax[extra]'` installs

Its numbers come from its own random stream, keyed by seed, example index and its name, so it does
not change any other effect's numbers. An effect shares the cores with training, so it has to be
cheap; stereo as a `[channel, time]` view of interleaved memory costs least. Silence must stay
silence. Gain, channel swap and polarity of a recipe's own options are done on the device, which is
cheaper, after all effects; the effects of these names are for recipes that want them earlier.
"""

import difflib
import importlib.util
import inspect
import math

import numpy as np

from pipelines.mixing.effects import (
    chorus,
    compressor,
    delay,
    distortion,
    gain,
    limit_aug,
    limiter,
    loudness_normalization,
    pan,
    parametric_eq,
    phaser,
    polarity,
    resample,
    reverb,
    shelving_filter,
    stereo_widener,
    swap,
    volume_automation,
)
from xumx_jax.errors import UserError

EFFECTS = {
    "resample": resample,
    "shelving_filter": shelving_filter,
    "gain": gain,
    "polarity": polarity,
    "swap": swap,
    "pan": pan,
    "stereo_widener": stereo_widener,
    "parametric_eq": parametric_eq,
    "volume_automation": volume_automation,
    "compressor": compressor,
    "delay": delay,
    "chorus": chorus,
    "phaser": phaser,
    "distortion": distortion,
    "reverb": reverb,
    "limiter": limiter,
    "limit_aug": limit_aug,
    "loudness_normalization": loudness_normalization,
}


def check(name: str, options: dict) -> None:
    """Raise UserError for an unknown effect, an unknown option or one that makes no sense.

    Also if the effect needs a package that is not installed.
    """
    if name not in EFFECTS:
        raise UserError(f"config.recipe.effects: unknown effect {name!r}{_nearest(name, EFFECTS)}")
    effect = EFFECTS[name]
    known = list(inspect.signature(effect.draw).parameters)[1:]
    for option in options:
        if option not in known:
            hint = _nearest(option, known)
            raise UserError(f"config.recipe.effects: {name} has no option {option!r}{hint}")
    try:
        effect.draw({row: np.zeros(1) for row in effect.ROWS}, **options)
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"config.recipe.effects: {name}: {error}") from error
    package, extra = getattr(effect, "NEEDS", (None, None))
    if package and importlib.util.find_spec(package) is None:
        raise UserError(
            f"config.recipe.effects: {name} needs {package}, which is not installed: "
            f"pip install 'xumx_jax[{extra}]'"
        )


def check_order(names) -> None:
    """Raise UserError if sources would differ in length where an effect wants their mixture."""
    mixed = None
    for name in names:
        if mixed and hasattr(EFFECTS[name], "input_samples"):
            raise UserError(f"config.recipe.effects: {name} has to come before {mixed}")
        mixed = name if is_of_mixture(name) else mixed


def check_channels(names, channels: int) -> None:
    """Raise UserError if one of the effects wants another number of channels."""
    for name in names:
        wanted = getattr(EFFECTS[name], "CHANNELS", channels)
        if wanted != channels:
            raise UserError(
                f"config.recipe.effects: {name} wants {wanted} channels, the data has {channels}"
            )


def is_of_mixture(name: str) -> bool:
    """Whether an effect acts on all sources at once."""
    return hasattr(EFFECTS[name], "apply_all")


def split(effects) -> tuple[tuple, tuple]:
    """Split (name, values) of a plan before the first effect of the mixture."""
    first = next((n for n, (name, _) in enumerate(effects) if is_of_mixture(name)), len(effects))
    return tuple(effects[:first]), tuple(effects[first:])


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


def apply_to_all(effects, waves: np.ndarray, rate: int) -> np.ndarray:
    """Apply (name, values [source, ...]) to [source, channel, time], one after another."""
    for name, values in effects:
        effect = EFFECTS[name]
        if is_of_mixture(name):
            waves = effect.apply_all(waves, values[0], rate) if effect.changes(values[0]) else waves
            continue
        samples = waves.shape[-1]
        waves = np.stack(
            [
                effect.apply(wave, own, rate, samples) if effect.changes(own) else wave
                for wave, own in zip(waves, values, strict=True)
            ]
        )
    return waves


def _nearest(word: str, known) -> str:
    close = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint}; known: {', '.join(known)}"
