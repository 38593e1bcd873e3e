"""Which stems are written, and how they are made of the separated ones and the mixture."""

import numpy as np

from xumx_jax.errors import UserError

REST = "rest"


def choose(sources, stems=None, two_stems=None, mix=None) -> dict[str, dict[str | None, int]]:
    """What to write: {name: {source: factor}}, where the source None is the mixture.

    stems      "vocals,bass": these as they are
    two_stems  "vocals": it, and the mixture without it
    mix        "drums+bass": their sum, one stem

    At most one of the three is given; by default every source is written as it is. Raises
    UserError on a name that the model does not have.
    """
    check_choice(stems, two_stems, mix)
    if two_stems is not None:
        (name,) = _known([two_stems], sources)
        return {name: {name: 1}, REST: {None: 1, name: -1}}
    if mix is not None:
        names = _known(mix.split("+"), sources)
        return {"+".join(names): dict.fromkeys(names, 1)}
    names = sources if stems is None else _known(stems.split(","), sources)
    return {name: {name: 1} for name in names}


def check_choice(stems, two_stems, mix):
    """Raise UserError if more than one is given."""
    if sum(given is not None for given in (stems, two_stems, mix)) > 1:
        raise UserError("wanted only one of --stems, --two-stems and --mix")


def _known(names, sources) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in names))
    for name in names:
        if name not in sources:
            raise UserError(f"unknown stem {name!r}; the model has {', '.join(sources)}")
    return names


def make(chosen, separated, heard) -> dict:
    """The stems of `choose` from {source: [channel, time]} and the mixture as it was heard."""
    made = {}
    for name, factors in chosen.items():
        if factors == {name: 1}:
            made[name] = separated[name]
            continue
        terms = [
            (heard if source is None else separated[source]) * np.float32(factor)
            for source, factor in factors.items()
        ]
        made[name] = sum(terms[1:], start=terms[0])
    return made


def heard(mix, channels):
    """The part of the mixture that was separated: as many channels, and finite."""
    return np.nan_to_num(mix[:channels], nan=0, posinf=0, neginf=0)


def null_error_db(heard, stems) -> float | None:
    """How far all stems together are from the mixture, in dB below it; None for a silent one."""
    power = float(np.square(heard, dtype=np.float64).sum())
    if not power:
        return None
    rest = float(np.square(sum(stems.values()) - heard, dtype=np.float64).sum())
    return float(10 * np.log10(max(rest / power, 1e-20)))
