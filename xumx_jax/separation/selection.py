"""Which stems are written, and how they are made from the separated ones and the mixture."""

import json
from collections.abc import Mapping

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.files import is_name
from xumx_jax.separation.residual import RESIDUAL, residual_name

REST = "rest"


Factors = dict[str | None, float]  # {source: factor}, where the source None is the mixture


def choose(
    sources, stems=None, two_stems=None, mix=None, aggregate=None, gain: float = 1.0
) -> dict[str, Factors]:
    """Choose what to write, and of what it is made.

    stems      "vocals,bass" or ("vocals", "bass"): these stems as they are
    two_stems  "vocals": this stem, and the mixture without it; of a model of one source, either
    gain       of a stem that is taken from the mixture, of a model of one source
    mix        "drums+bass" or ("drums", "bass"): their sum, one stem
    aggregate  "karaoke=drums+bass,voice=vocals": sums under new names, or the same in Open-Unmix's
               form, '{"karaoke": ["drums", "bass"], "voice": ["vocals"]}', or a dictionary, which
               may have {source: factor} instead of a list

    At most one of the four is given; by default every source is written as it is. Raises
    UserError on a name that the model does not have, or that cannot be the name of a file.
    """
    check_choice(stems, two_stems, mix, aggregate)
    for name in sources:
        if not is_name(name):
            raise UserError(f"the model's source {name!r} cannot be the name of a file")
    if two_stems is not None:
        rest, factor = residual_name(sources), -gain
        if rest == RESIDUAL:  # which is what all stems leave
            rest, factor = REST, -1
        elif two_stems.strip() == rest:
            two_stems = sources[0]
        (name,) = _known([two_stems], sources)
        return {name: {name: 1}, rest: {None: 1, name: factor}}
    if mix is not None:
        names = _known(_split(mix, "+"), sources)
        return {"+".join(names): dict.fromkeys(names, 1)}
    if aggregate is not None:
        made = {}
        for name, parts in parse_aggregate(aggregate).items():
            _known([part for part in parts if part is not None], sources)
            made[name] = (
                parts if isinstance(parts, Mapping) else dict.fromkeys(_known(parts, sources), 1)
            )
        return made
    names = sources if stems is None else _known(_split(stems, ","), sources)
    return {name: {name: 1} for name in names}


def check_choice(stems, two_stems, mix, aggregate=None):
    """Raise UserError if more than one is given, or `aggregate` cannot be read."""
    if sum(given is not None for given in (stems, two_stems, mix, aggregate)) > 1:
        raise UserError("use only one of --stems, --two-stems, --mix and --aggregate")
    if aggregate is not None:
        parse_aggregate(aggregate)


def parse_aggregate(text) -> dict[str, list[str] | Mapping]:
    """Parse the value of `--aggregate` -> {name: stems to add}. Raises UserError."""
    factors = {}
    if isinstance(text, Mapping):
        factors = {name: parts for name, parts in text.items() if isinstance(parts, Mapping)}
        pairs = [
            (name, [parts] if isinstance(parts, str) else list(parts))
            for name, parts in text.items()
        ]
    elif text.lstrip().startswith("{"):
        try:
            pairs = json.loads(text, object_pairs_hook=list)
        except ValueError as error:
            raise UserError(f"--aggregate {text}: is not JSON ({error})") from None
        pairs = [(name, [parts] if isinstance(parts, str) else parts) for name, parts in pairs]
    else:
        pairs = [
            (name.strip(), parts.split("+") if equals else None)
            for name, equals, parts in (term.partition("=") for term in text.split(","))
        ]
    for name, parts in pairs:
        allowed = {str, type(None)} if name in factors else {str}
        if not isinstance(parts, list) or not parts or {type(part) for part in parts} - allowed:
            raise UserError(f"--aggregate {text}: wanted NAME=A+B,..., or JSON lists by name")
        if not is_name(name):
            raise UserError(f"--aggregate {text}: {name!r} cannot be the name of a file")
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--aggregate {text}: two stems are called {name!r}")
    if not names:
        raise UserError(f"--aggregate {text}: names no stem")
    return {**dict(pairs), **factors}


def _split(given, mark) -> list[str]:
    """Split names given as one text, or as a sequence."""
    return given.split(mark) if isinstance(given, str) else list(given)


def _known(names, sources) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in names))
    for name in names:
        if name not in sources:
            raise UserError(f"unknown stem {name!r}; the model has {', '.join(sources)}")
    return names


def make(chosen, separated, mix) -> dict:
    """Make the stems of `choose` from {source: [channel, time]} and the separated mixture."""
    made = {}
    for name, factors in chosen.items():
        if factors == {name: 1}:
            made[name] = separated[name]
            continue
        terms = [
            (mix if source is None else separated[source]) * np.float32(factor)
            for source, factor in factors.items()
        ]
        made[name] = sum(terms[1:], start=terms[0])
    return made


class NullError:
    """How far the sum of all stems is from the mixture, computed block by block."""

    def __init__(self):
        self._power = self._rest = 0.0

    def add(self, mix, stems):
        """Count the next samples of the mixture and of {name: stem}, all [channel, time]."""
        self._power += float(np.square(mix, dtype=np.float64).sum())
        rest = sum(stems.values()) - mix
        self._rest += float(np.square(rest, dtype=np.float64).sum())

    def db(self) -> float | None:
        """The error in dB below the mixture; None if the mixture is silent."""
        if not self._power:
            return None
        return float(10 * np.log10(max(self._rest / self._power, 1e-20)))
