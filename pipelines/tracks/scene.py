"""How the excerpts of an example lie in it and how loud they are, where that is drawn together.

Without a scene each source has an excerpt of its own length and level. A scene decides for all
sources at once, by the lengths of their clips and by what was read of them.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

STREAM = 3  # the last word of the counter; `pipelines.mixing.plan` has others


class Scene(Protocol):
    """Pure functions of numbers from 0 to 1 that were drawn for one example."""

    def starts(
        self, sources: Sequence[str], lengths: Sequence[int], samples: Sequence[int],
        place: Sequence[float],
    ) -> list[int]:  # fmt: skip
        """The sample of each source's clip with which its excerpt begins.

        `lengths` are those of the clips, `samples` of the excerpts. Below 0 it begins with silence.
        """
        ...

    def gains(
        self, sources: Sequence[str], waves: Sequence[np.ndarray], level: float
    ) -> list[float]:
        """The factor of each source, by its excerpt [time, channel]."""
        ...


def level_of(seed: int, index: int) -> float:
    """The number that decides about the levels in example `index`, from its own random stream."""
    stream = np.random.Philox(key=[seed, index], counter=[0, 0, 0, STREAM])
    return float(np.random.Generator(stream).random())
