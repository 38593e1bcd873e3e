"""A track on its way to the Separator and beside its stems; pairs of channels; bars."""

import io
import threading
import time

import numpy as np
import pytest

from xumx_jax.audio.decode import Blocks
from xumx_jax.commands.batch import thread_warnings
from xumx_jax.commands.batch.bars import Bars
from xumx_jax.commands.batch.mixture import Ahead, Mixture, one_at_a_time
from xumx_jax.commands.batch.signals import Stop, Stopped
from xumx_jax.errors import UserError
from xumx_jax.separation import multichannel
from xumx_jax.separation.stream_buffer import SampleQueue


def blocks_of(wave, size, rate=8000):
    cut = [wave[:, at : at + size] for at in range(0, wave.shape[1], size)]
    return Blocks(rate, wave.shape[0], wave.shape[1], iter(cut))


def wave(channels, time=1000):
    return np.arange(channels * time, dtype=np.float32).reshape(channels, time) / 5000


def test_a_fifo_gives_what_was_put_in():
    held, whole = SampleQueue(), wave(2)
    for at in range(0, 1000, 90):
        held.put(whole[:, at : at + 90])
    taken = [held.take(count) for count in (1, 89, 90, 320, 500)]
    np.testing.assert_array_equal(np.concatenate(taken, axis=1), whole)
    with pytest.raises(AssertionError, match="1 samples wanted of 0"):
        held.take(1)


@pytest.mark.parametrize(("rate", "length"), [(None, 1000), (8000, 1000), (12000, 1500)])
def test_what_is_separated_can_be_taken_again(rate, length):
    whole = wave(3)
    whole[2, 5:8] = np.nan
    mixture = Mixture("x", blocks_of(whole, 130), rate=rate)
    assert (mixture.channels, mixture.rate, mixture.length) == (2, rate or 8000, length)
    given = np.concatenate(list(mixture), axis=1)
    assert given.shape == (2, length) and mixture.given == length
    assert (mixture.read, mixture.bad) == (1000, 3)
    assert mixture.take(0).shape == (2, 0)
    taken = np.concatenate([mixture.take(length - 7), mixture.take(7)], axis=1)
    np.testing.assert_array_equal(taken, given)
    if length == 1000:
        np.testing.assert_array_equal(given, whole[:2])


def test_strict_counts_all_before_it_fails():
    whole = wave(2)
    whole[:, [3, 900]] = np.inf
    mixture = Mixture("x.wav", blocks_of(whole, 100), strict=True)
    with pytest.raises(UserError, match=r"^x\.wav: 4 samples are NaN or infinite; wanted"):
        list(mixture)


def test_reading_ahead():
    heard, stop = [], Stop()

    def blocks():
        yield 1
        thread_warnings.current()("odd")
        yield 2
        raise UserError("the end is bad")

    with thread_warnings.told_to(heard.append), Ahead(blocks(), stop) as ahead:
        given = iter(ahead)
        assert (next(given), next(given)) == (1, 2)
        with pytest.raises(UserError, match="the end is bad"):
            next(given)
    assert heard == ["odd"]


def test_reading_ahead_ends_with_its_reader():
    def endless():
        while True:
            yield 0

    stop = Stop()
    with Ahead(endless(), stop) as ahead:
        given = iter(ahead)
        assert next(given) == 0
        stop.ask()
        with pytest.raises(Stopped):
            next(given)
    assert not ahead._thread.is_alive()
    lock = threading.Lock()
    with lock, pytest.raises(Stopped), one_at_a_time(lock, stop):
        raise AssertionError("the lock is held")


class Uneven:
    """Stems that are the mixture and its negative, in blocks of other lengths for every stream."""

    def __init__(self):
        self.sizes, self.closed, self.told = iter((70, 300, 1000)), 0, []

    def stream(self, blocks, rate, length, callback):
        try:
            whole, size = np.concatenate(list(blocks), axis=1), next(self.sizes)
            for at in range(0, length, size):
                cut = whole[:, at : at + size]
                if callback:
                    callback(min(1, (at + size) / length), None)
                yield {"a": cut, "b": -cut}
        finally:
            self.closed += 1


def test_pairs_of_channels_are_put_together():
    separator, whole, told = Uneven(), wave(5), []
    stems = list(
        multichannel.stream(
            separator,
            iter([whole[:, :400], whole[:, 400:]]),
            5,
            8000,
            1000,
            lambda *x: told.append(x),
        )
    )
    for name, sign in (("a", 1), ("b", -1)):
        np.testing.assert_array_equal(
            np.concatenate([s[name] for s in stems], axis=1), sign * whole
        )
    assert separator.closed == 3 and told == [(1, None)]


@pytest.mark.parametrize(
    ("format", "channels", "fits"),
    [
        ("wav", 32, True),
        ("flac", 8, True),
        ("flac", 9, False),
        ("opus", 2, True),
        ("m4a", 3, False),
    ],
)
def test_how_many_channels_formats_hold(format, channels, fits):
    if fits:
        multichannel.check_channels("x", channels, format)
        return
    with pytest.raises(UserError, match=f"x: has {channels} channels, and {format} files hold"):
        multichannel.check_channels("x", channels, format)


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
