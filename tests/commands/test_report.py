"""Bars on a terminal."""

import io
import time

import pytest

from xumx_jax.commands.batch.report import Bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_on_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with Bars([60.0, 0.0]) as progress:
        with progress.track(0, "music/song.mp3") as bar:
            bar(None, None)
            time.sleep(0.12)  # a bar is drawn ten times a second at most
            bar(0.5, 75.0)
            assert progress._total.n == 30
        with progress.track(1, "b.wav") as bar:
            bar(1.0, 0.0)
        assert progress._total.n == pytest.approx(120)  # as long as the others, for all we know
    shown = screen.getvalue()
    assert "song.mp3:  50%" in shown and ", 01:15 left" in shown
    assert "0/2 tracks" in shown and "2/2 tracks" in shown


def test_one_track_has_one_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with Bars([60.0]) as progress, progress.track(0, "song.mp3") as bar:
        time.sleep(0.12)
        bar(1.0, 0.0)
    assert "song.mp3: 100%" in screen.getvalue() and "tracks" not in screen.getvalue()
