"""A track on its way to the Separator, and again beside its stems."""

import threading

import numpy as np
import pytest

from xumx_jax.audio.decode import AudioStream
from xumx_jax.errors import Cancelled, UserError, collected, warn
from xumx_jax.separation.inputs import Mixture, ReadAhead, held
from xumx_jax.separation.stream_buffer import SampleQueue


def blocks_of(wave, size, rate=8000):
    cut = [wave[:, at : at + size] for at in range(0, wave.shape[1], size)]
    return AudioStream(rate, wave.shape[0], wave.shape[1], iter(cut))


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
    whole[0, [3, 900]], whole[1, [3, 900]] = np.inf, 1e13
    mixture = Mixture("x.wav", blocks_of(whole, 100), strict=True)
    with pytest.raises(
        UserError, match=r"^x\.wav: 4 samples are NaN, infinite or beyond 1e12; use finite"
    ):
        list(mixture)


def test_reading_ahead():
    heard = []

    def blocks():
        yield 1
        warn("odd")
        yield 2
        raise UserError("the end is bad")

    with collected(heard.append), ReadAhead(blocks(), lambda: None) as ahead:
        given = iter(ahead)
        assert (next(given), next(given)) == (1, 2)
        with pytest.raises(UserError, match="the end is bad"):
            next(given)
    assert heard == ["odd"]


def test_reading_ahead_ends_with_its_reader():
    def endless():
        while True:
            yield 0

    asked = []

    def check():
        if asked:
            raise Cancelled("asked")

    with ReadAhead(endless(), check) as ahead:
        given = iter(ahead)
        assert next(given) == 0
        asked.append(True)
        with pytest.raises(Cancelled):
            next(given)
    assert not ahead._thread.is_alive()
    lock = threading.Lock()
    with lock, pytest.raises(Cancelled), held(lock, check):
        raise AssertionError("the lock is held")
    with held(lock, check), held(None, check):
        assert lock.locked()
