"""Progress bars on a terminal: one for every track being separated, and one for all tracks."""

import sys
from pathlib import Path

from tqdm import tqdm

_FILE = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
_TOTAL = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} < {remaining}"


class Bars:
    """The bars of a batch; `seconds` are the expected lengths of its tracks, 0 if unknown.

    A context manager. Nothing is shown where stderr is no terminal.
    """

    def __init__(self, seconds: list[float]):
        self._usual = max(sum(seconds) / max(1, sum(one > 0 for one in seconds)), 1.0)
        self._seconds = [one or self._usual for one in seconds]
        hidden = None if len(seconds) > 1 else True  # None: where stderr is no terminal
        self._total = _bar(sum(self._seconds), _TOTAL, disable=hidden)
        self._ended = 0
        self._describe()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._total.close()

    def track(self, index, label) -> "TrackBar":
        """A bar for the track with that index, a context manager."""
        return TrackBar(self, self._seconds[index], Path(label).name)

    def advance(self, seconds):
        with tqdm.get_lock():
            self._total.update(seconds)

    def end_track(self):
        with tqdm.get_lock():
            self._ended += 1
            self._describe()

    def _describe(self):
        self._total.set_description_str(f"{self._ended}/{len(self._seconds)} tracks")


class TrackBar:
    """A track's bar: called with the part done, or None if that is not known, and seconds left."""

    def __init__(self, progress, seconds, name):
        self._progress, self._seconds, self._done = progress, seconds, 0.0
        self._bar = _bar(100, _FILE, desc=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
        self._progress.advance((1 - self._done) * self._seconds)
        self._progress.end_track()

    def __call__(self, fraction, eta):
        if fraction is None:
            self._bar.refresh()
            return
        step, self._done = fraction - self._done, fraction
        if eta is not None:
            self._bar.set_postfix_str(f"{tqdm.format_interval(eta)} left", refresh=False)
        self._bar.update(100 * fraction - self._bar.n)
        self._progress.advance(step * self._seconds)


def _bar(total, form, **more):
    settings = dict(total=total, bar_format=form, leave=False, disable=None, file=sys.stderr)
    return tqdm(**{**settings, **more})
