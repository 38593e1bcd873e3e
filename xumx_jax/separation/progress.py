"""Report the progress of a separation to a caller, and let it cancel."""

import time
from collections.abc import Callable

from xumx_jax.errors import Cancelled

CALLBACK = Callable[[float | None, float | None], object]
_EARLY = 0.02  # part of the work before which the remaining time cannot be estimated


class Progress:
    """Turn counts of samples into `callback(fraction, eta)`.

    `fraction` is the part done, rising from 0 to 1, and `eta` the seconds left, None while unknown.
    Without a `total` both are None. If the callback returns False, Cancelled is raised.
    """

    def __init__(self, callback: CALLBACK | None, total: float | None):
        self._callback, self._total = callback, total
        self._begin, self._fraction = time.monotonic(), 0.0

    def __call__(self, done: float) -> None:
        if self._callback is None:
            return
        fraction = eta = None
        if self._total:
            # stated lengths may be slightly wrong
            fraction = self._fraction = max(self._fraction, min(1.0, done / self._total))
            if fraction >= _EARLY:
                eta = (time.monotonic() - self._begin) * (1 - fraction) / fraction
        if self._callback(fraction, eta) is False:
            raise Cancelled("the separation was cancelled")
