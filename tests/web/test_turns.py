"""Fair turns at a device: who comes first, and that nobody waits for ever. No test sleeps."""

import threading

import pytest

from xumx_jax.web.turns import Turns


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def never():
    raise AssertionError("nobody had to wait")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return Turns(patience=10.0, clock=clock)


def wishes(turn):
    """Ask for a turn in vain, which keeps the place."""
    assert not turn.acquire(0)


def test_a_turn_is_one_jobs_alone(turns):
    with turns.turn(False) as one, turns.turn(False) as other:
        assert one.acquire()
        assert not other.acquire(0)
        other.release()  # not its own
        assert not other.acquire(0)
        one.release()
        assert other.acquire(0)


def test_short_jobs_come_before_long_ones_and_in_order(turns):
    with (
        turns.turn(True) as long,
        turns.turn(False) as first,
        turns.turn(False) as second,
        turns.turn(True) as holder,
    ):
        assert holder.acquire()
        for turn in (long, second, first):
            wishes(turn)
        holder.release()
        assert not long.acquire(0) and not second.acquire(0) and not holder.acquire(0)
        assert first.acquire(0)
        first.release()
        assert not long.acquire(0) and second.acquire(0)
        second.release()
        assert not holder.acquire(0) and long.acquire(0)  # the one that began first


def test_a_long_job_that_has_waited_long_comes_once(turns, clock):
    with turns.turn(True) as long, turns.turn(False) as short, turns.turn(False) as other:
        assert short.acquire()
        wishes(long)
        wishes(other)
        clock.now = 9.9
        short.release()
        assert not long.acquire(0)
        clock.now = 10.0
        assert not other.acquire(0) and long.acquire(0)
        wishes(short)
        long.release()
        assert not long.acquire(0)  # it waits anew
        assert short.acquire(0)


def test_in_the_middle_of_a_turn_a_job_lets_those_pass_that_come_first(turns, clock):
    with turns.turn(True) as long, turns.turn(False) as short:
        assert long.acquire()
        long.let_pass(never)
        wishes(short)
        seen = []

        def check():  # called as the long one waits
            if not seen:
                assert short.acquire(0)
            else:
                short.let_pass(never)  # the long one has not waited long
                short.release()
            seen.append(len(seen))

        long.let_pass(check)
        assert seen == [0, 1]
        assert not short.acquire(0)  # it is the long one's turn again


def test_a_short_job_lets_a_long_one_pass_that_has_waited_long(turns, clock):
    with turns.turn(False) as short, turns.turn(True) as long:
        assert short.acquire()
        wishes(long)
        short.let_pass(never)
        clock.now = 10.0

        def check():
            assert long.acquire(0)
            long.release()

        short.let_pass(check)
        assert not long.acquire(0)


def test_who_is_stopped_while_it_waits_is_in_nobodys_way(turns):
    class Stopped(Exception):
        pass

    def stop():
        raise Stopped

    with turns.turn(True) as long:
        with turns.turn(False) as short:
            assert long.acquire()
            wishes(short)
            with pytest.raises(Stopped):
                long.let_pass(stop)
            long.release()  # as `separate_file` does; it was not its turn any more
            assert short.acquire(0)
        assert long.acquire(0)  # the short one has ended in the middle of its turn
        with turns.turn(False) as gone:
            wishes(gone)
        long.release()
        assert long.acquire(0)


def test_threads_get_their_turns_as_others_release_theirs(turns):
    order, together = [], threading.Barrier(3)
    inside = threading.Lock()

    def work(turn, name):
        together.wait()
        for _ in range(50):
            assert turn.acquire(10)
            assert inside.acquire(blocking=False)  # never two at once
            order.append(name)
            inside.release()
            turn.release()

    with turns.turn(True) as long, turns.turn(False) as one, turns.turn(False) as two:
        threads = [
            threading.Thread(target=work, args=pair)
            for pair in ((long, "long"), (one, "one"), (two, "two"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(order) == ["long"] * 50 + ["one"] * 50 + ["two"] * 50
