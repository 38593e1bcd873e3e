"""Options that are ranges, (low, high), and numbers drawn from them."""

import math

import numpy as np

from xumx_jax.errors import UserError

ANY = (-math.inf, math.inf)


def is_range(value) -> bool:
    """Return whether these are two finite numbers, the lower one first."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    return numbers and value[0] <= value[1]


def between(limits, uniform):
    """Map numbers from 0..1 to low..high."""
    low, high = limits
    return low + (high - low) * uniform


def octaves(limits, uniform):
    """Map numbers from 0..1 to low..high, with every octave equally likely."""
    low, high = limits
    return low * (high / low) ** uniform


def check_probability(probability) -> None:
    """Raise UserError unless it is one."""
    if not 0 <= probability <= 1:
        raise UserError(f"probability is {probability}, wanted 0 to 1")


def check_range(name: str, limits, possible=ANY) -> None:
    """Raise UserError unless `limits` is (low, high) within what is `possible`."""
    low, high = possible
    if not is_range(limits) or limits[0] < low or limits[1] > high:
        within = "" if possible == ANY else f" from {low} to {high}"
        raise UserError(f"{name} is {limits}, wanted two numbers{within}, (low, high)")


def drawn(rows, probability: float, possible=None, in_octaves=(), **limits) -> np.ndarray:
    """Whether an effect is used and a number of each range -> [source, 1 + range].

    The first column is 1 or 0 and drawn with the row `use`; the others have rows of their options'
    names, and are drawn uniformly, or with equal chances for octaves if named in `in_octaves`.
    Raises UserError for what is no probability, no range, or leaves `possible` {name: (low, high)}.
    """
    check_probability(probability)
    columns = [(rows["use"] < probability).astype(float)]
    for name, range_ in limits.items():
        check_range(name, range_, (possible or {}).get(name, ANY))
        columns.append((octaves if name in in_octaves else between)(range_, rows[name]))
    return np.stack(columns, axis=1)


def is_used(values: np.ndarray) -> bool:
    """Return whether the first number, that of `drawn`, says that the effect is used."""
    return bool(values[0])
