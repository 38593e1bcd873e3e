"""One line when JAX's heartbeat ends a process, whose own report goes to a file.

A process that lost others is aborted from C++, with a report of dozens of lines and before Python
has a chance. So what it and its libraries write to stderr goes through a helper that outlives it,
and looks for that report. It is this file, run as a program:

    python lost_process.py REPORT HEARTBEAT ADVICE      reads stdin, writes stderr
"""

import atexit
import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# How libraries in C++ begin a warning, an error, or what they die of; or the beginning of that.
_NATIVE = re.compile(rb"^[EFW](?:\d{4} \d\d:\d\d:\d\d\.\d+ |\d{0,4}(?: [\d:.]*)?\Z)", re.M)
_FATAL = re.compile(rb"^F\d{4} [^\n]*JAX distributed service detected fatal errors", re.M)
_SILENT = re.compile(rb"\(stopped sending heartbeats\):\s*([\d,\s]+)")
_TRACE = b"*** Check failure stack trace"
HOLD_SECONDS = 1.0  # what may be the beginning of a report is held back so long
_SENT_SECONDS = 2.0  # in which the helper has written what it was sent


class Helper:
    """Has a heartbeat's report written to a file, and one line to stderr; `end()` ends that.

    It begins when it is made, and ends at the latest when Python does. `advice` ends the line.
    """

    def __init__(self, report: Path, heartbeat_seconds: float, advice: str):
        sys.stderr.flush()
        self.usual = os.dup(2)
        words = [str(report), f"{heartbeat_seconds:g}", advice]
        command = [sys.executable, "-I", "-S", __file__, *words]
        # in a session of its own: Ctrl-C is for the process whose last words it has to pass on
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert self.process.stdin is not None
        os.dup2(self.process.stdin.fileno(), 2)
        self.process.stdin.close()
        atexit.register(self.end)

    def end(self) -> None:
        """Write to stderr as before; what was written until now has come out."""
        atexit.unregister(self.end)
        sys.stderr.flush()
        os.dup2(self.usual, 2)
        with contextlib.suppress(subprocess.TimeoutExpired):  # another process still writes there
            self.process.wait(_SENT_SECONDS)


class Filter:
    """Passes on what is written, but for the report of a heartbeat.

    write   takes bytes for stderr
    report  the file for JAX's report
    """

    def __init__(self, write: Callable, report: Path, heartbeat_seconds: float, advice: str):
        self.write, self.report = write, report
        self.heartbeat_seconds, self.advice = heartbeat_seconds, advice
        self.held, self.since, self.fatal, self.told = b"", 0.0, False, False

    def feed(self, data: bytes) -> None:
        """Take what was written."""
        self.since = self.since if self.held else time.monotonic()
        self.held += data
        if not self.told:
            found = _NATIVE.search(self.held)
            begin = found.start() if found else len(self.held)
            self.write(self.held[:begin])
            self.held = self.held[begin:]
        self.fatal = self.fatal or bool(_FATAL.search(self.held))
        if self.fatal and _TRACE in self.held:
            self.tell()

    def wait(self) -> float | None:
        """For how many seconds more to wait for the rest of a report; None: no limit."""
        return max(0.0, self.since + HOLD_SECONDS - time.monotonic()) if self.held else None

    def release(self) -> None:
        """Pass on what was held back; of a report, the line and the rest of the file."""
        if self.fatal:
            self.tell()
        else:
            self.write(self.held)
            self.held = b""

    def tell(self) -> None:
        """Write what is held to the file, and the line, once."""
        try:
            self.report.parent.mkdir(parents=True, exist_ok=True)
            with self.report.open("ab") as file:
                file.write(self.held)
            place = f"JAX's report of it is in {self.report}"
        except OSError as error:
            self.write(self.held)
            place = f"{self.report} cannot be written: {error.strerror}"
        if not self.told:
            who = lost_in(self.held, self.heartbeat_seconds)
            self.write(f"train: error: lost {who}; {self.advice}; {place}\n".encode())
        self.held, self.told = b"", True


def lost_in(report: bytes, seconds: float) -> str:
    """Which processes a report says are lost: those listed, else the one that keeps the list."""
    if (found := _SILENT.search(report)) is None:
        return "process 0, which answers no more"
    numbers = sorted({int(number) for number in re.findall(rb"\d+", found[1])})
    names = f"process{'es' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return f"{names}, not heard of for {seconds:g} s"


def main(report: str, heartbeat_seconds: str, advice: str) -> None:
    """Filter stdin until it ends."""

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(2, data) :]

    own = Filter(write, Path(report), float(heartbeat_seconds), advice)
    while True:
        if not select.select([0], [], [], own.wait())[0]:
            own.release()
            continue
        if not (data := os.read(0, 1 << 16)):
            break
        own.feed(data)
    own.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
