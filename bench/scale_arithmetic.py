"""The arithmetic of `simulate_scale.py`, `cluster.py` and `cluster_train.py`: work, steps.

Everything is a function of numbers; where these come from is said where they are given.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax


def worker_seconds(files: float, music: float, speed: float, overhead: float) -> float:
    """What one worker takes for files with so many seconds of music in all.

    speed     seconds of music that it separates in a second
    overhead  seconds for each file beside that: opening, writing, publishing, waiting
    """
    return music / speed + files * overhead


class Level(NamedTuple):
    """Links that join `members` of which each holds the same array.

    bytes_per_second  that one of them sends, in one direction, over all its links
    latency           seconds until a message arrives
    """

    members: int
    bytes_per_second: float
    latency: float = 0.0


def all_reduce_seconds(size: float, levels: Sequence[Level], exchanges: int = 1) -> float:
    """How long the sum of `size` bytes over all members takes, in so many separate exchanges.

    A ring at each level: every member sends each of its n parts n - 1 times to be added up and
    n - 1 times to be handed round, 2 (n - 1) / n of the array in all (Patarasuk and Yuan 2009);
    above a level, each member's own part is what is exchanged.
    """
    seconds = 0.0
    for level in levels:
        rounds = 2 * (level.members - 1)
        seconds += rounds * (size / level.members / level.bytes_per_second)
        seconds += exchanges * rounds * level.latency
        size /= level.members
    return seconds


class Step(NamedTuple):
    """Seconds of a training step: of the products, of the exchange after them, and of input."""

    compute: float
    exchange: float
    input: float

    @property
    def seconds(self) -> float:
        """Of the step: input is prepared beside it, and the exchange comes after the gradient."""
        return max(self.compute + self.exchange, self.input)

    @property
    def bound(self) -> str:
        """What the step is bound by: the longest part of what determines it."""
        if self.input >= self.compute + self.exchange:
            return "input"
        return "compute" if self.compute >= self.exchange else "all-reduce"

    @property
    def efficiency(self) -> float:
        """The share of the step in which products are computed."""
        return self.compute / self.seconds


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(constant, slope) of the line through points (x, y), by least squares of relative errors."""
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    joint = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
    slope = joint / spread
    return mean_y - slope * mean_x, slope


def flops_of(function, *shapes) -> float:
    """Floating-point operations of the products and convolutions in `function(*shapes)`.

    A multiplication and an addition count as two. It is traced, not run. A loop counts
    as often as it turns; of a choice, the dearest branch.
    """
    return _flops(jax.make_jaxpr(function)(*shapes).jaxpr)


def _flops(jaxpr) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "dot_general":
            (left, _), _ = params["dimension_numbers"]
            inner = math.prod(equation.invars[0].aval.shape[axis] for axis in left)
            total += 2 * inner * math.prod(equation.outvars[0].aval.shape)
        elif name == "conv_general_dilated":
            kernel, spec = equation.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
            taps = math.prod(kernel) / kernel[spec[0]]  # of one output channel
            total += 2 * taps * math.prod(equation.outvars[0].aval.shape)
        else:
            inside = [_flops(inner) for inner in _inner(params)]
            if name == "cond":
                inside = [max(inside, default=0.0)]
            total += params.get("length", 1) * sum(inside) if name == "scan" else sum(inside)
    return total


def _inner(params: dict):
    """The programs within an equation; of a function with its own derivative, the function."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            one = getattr(one, "jaxpr", one)
            if hasattr(one, "eqns"):
                yield one
