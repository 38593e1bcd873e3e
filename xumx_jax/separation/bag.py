"""Several models as one: a weighted average of their stems."""

from itertools import tee
from math import isfinite

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.separation import streams
from xumx_jax.separation.inputs import InputBlocks
from xumx_jax.separation.progress import CALLBACK, Progress
from xumx_jax.separation.separator import at_once


class Ensemble:
    """Separators with weights; called and streamed like one `Separator`.

    `members` are pairs (separator, weight); weights are divided by their sum. All have the same
    stems, in any order. Raises UserError if they do not, or a weight is not positive.
    """

    def __init__(self, members):
        self.separators = [separator for separator, _ in members]
        weights = [weight for _, weight in members]
        if not members or not all(isfinite(weight) and weight > 0 for weight in weights):
            raise UserError(f"the weights of the models are {weights}; wanted positive numbers")
        self.weights = [weight / sum(weights) for weight in weights]
        self.sources = self.separators[0].sources
        for separator in self.separators[1:]:
            if set(separator.sources) != set(self.sources):
                raise UserError(
                    f"models with different stems cannot be averaged: {', '.join(self.sources)} "
                    f"and {', '.join(separator.sources)}"
                )

    @property
    def rate(self) -> int:
        """The sample rate of the first model, in hertz."""
        return self.separators[0].rate

    def __call__(self, mix, rate: int, callback: CALLBACK | None = None) -> dict[str, np.ndarray]:
        """As `Separator.__call__`."""
        return at_once(self, mix, rate, callback)

    def stream(self, blocks, rate: int, length: int | None = None, callback=None):
        """As `Separator.stream`."""
        count = len(self.separators)
        shares = streams.shares(Progress(callback, length and 1), count)

        def tell(note):
            return callback and (lambda fraction, eta: note(fraction or 0.0))

        tidy = InputBlocks(blocks, 1)  # once, so that what is odd is told once
        stems = [
            self._stacked(separator.stream(copy, rate, length, tell(note)))
            for separator, copy, note in zip(self.separators, tee(tidy, count), shares, strict=True)
        ]
        for block in streams.mean_of(stems, self.weights):
            yield dict(zip(self.sources, block, strict=True))
        if tidy.samples:  # of none the members tell
            tidy.warn()

    def _stacked(self, stream):
        for block in stream:
            yield np.stack([block[name] for name in self.sources])
