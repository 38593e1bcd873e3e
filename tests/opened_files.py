"""How often a file is opened."""

import sys

import av
import pytest
import soundfile


class Opened:
    """Counts, in a `with`, how often a file is opened: by Python, or by a library told its name."""

    def __init__(self, path):
        self.path, self.count, self._on = str(path), 0, False
        self._patch = pytest.MonkeyPatch()

    def __enter__(self):
        self._on = True
        sys.addaudithook(self._hear)  # which stays, and hears nothing more afterwards
        for place, name in ((av, "open"), (soundfile, "SoundFile"), (soundfile, "info")):
            self._patch.setattr(place, name, self._counted(getattr(place, name)))
        return self

    def __exit__(self, *_):
        self._on = False
        self._patch.undo()

    def _hear(self, event, arguments):
        if self._on and event == "open" and str(arguments[0]) == self.path:
            self.count += 1

    def _counted(self, function):
        def counted(first, *arguments, **more):
            named = first.decode() if isinstance(first, bytes) else first
            self.count += str(named) == self.path
            return function(first, *arguments, **more)

        return counted
