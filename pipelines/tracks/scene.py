"""How the excerpts of an example lie in it and how loud they are, where that is drawn together.

Without a scene each source has an excerpt of its own length and level. A scene decides for all
sources at once, by the lengths of their clips and by what was read of them.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Scene(Protocol):
    """Pure functions of numbers from 0 to 1 that were drawn for one example."""

    def start(self, source: str, length: int, samples: int, place: float) -> int:
        """The sample of a clip of this length with which an excerpt of `samples` begins.

        Below 0 it begins with silence.
        """
        ...

    def gains(
        self, sources: Sequence[str], waves: Sequence[np.ndarray], level: float
    ) -> list[float]:
        """The factor of each source, by their excerpts [time, channel]."""
        ...
