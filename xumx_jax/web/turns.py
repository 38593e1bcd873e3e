"""Whose turn it is at a device that several jobs share, block by block."""

import threading
import time
from contextlib import contextmanager

PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.1  # between two checks for whether to stop waiting


class Turns:
    """The turns at one device: short jobs come first, in the order in which they began.

    patience  seconds after which a long job that waits gets a turn before the short ones: it
              slows them down a little, but no number of them keeps it waiting for ever
    clock     in seconds
    """

    def __init__(self, patience: float = PATIENCE_SECONDS, clock=time.monotonic):
        self._patience, self._clock = patience, clock
        self._free = threading.Condition()
        self._holder: Turn | None = None
        self._waiting: dict[Turn, float] = {}  # since when
        self._begun = 0

    @contextmanager
    def turn(self, long: bool):
        """Yield the `Turn` of a job that begins now."""
        with self._free:
            self._begun += 1
            turn = Turn(self, long, self._begun)
        try:
            yield turn
        finally:
            turn.release()
            with self._free:
                self._waiting.pop(turn, None)
                self._free.notify_all()

    def _rank(self, turn, since) -> tuple[int, int]:
        """Where a job comes, the lowest first."""
        overdue = turn.long and self._clock() - since >= self._patience
        return (0 if overdue else 1 + turn.long), turn.number

    def _comes_first(self, turn, since) -> bool:
        rank = self._rank(turn, since)
        return all(rank <= self._rank(*other) for other in self._waiting.items())


class Turn:
    """A lock that one job holds while it computes, for `separate_file`'s `device_lock`.

    long, number  of the job, which decide when it comes
    """

    def __init__(self, turns: Turns, long: bool, number: int):
        self.long, self.number, self._turns = long, number, turns

    def acquire(self, timeout: float = -1) -> bool:
        """Wait for a turn, at most so many seconds; True if it is this job's now.

        Whoever waited in vain keeps the place until its `Turns.turn` ends.
        """
        turns = self._turns
        with turns._free:
            since = turns._waiting.setdefault(self, turns._clock())
            free = turns._free.wait_for(
                lambda: turns._holder is None and turns._comes_first(self, since),
                None if timeout < 0 else timeout,
            )
            if free:
                del turns._waiting[self]
                turns._holder = self
            return free

    def release(self) -> None:
        """Let the next one compute; nothing happens if it is not this job's turn."""
        turns = self._turns
        with turns._free:
            if turns._holder is self:
                turns._holder = None
                turns._free.notify_all()

    def let_pass(self, check) -> None:
        """In the middle of a turn: wait if there is a job that comes first.

        `check()` is called meanwhile, and may raise; the turn is then over.
        """
        turns = self._turns
        with turns._free:
            if turns._comes_first(self, turns._clock()):
                return
            # before the other one can be through already
            turns._waiting[self] = turns._clock()
        self.release()
        while not self.acquire(_POLL_SECONDS):
            check()
