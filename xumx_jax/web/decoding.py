"""Decode what strangers send, in a child process, and believe nothing that comes from there.

What `decoder` sends is checked as if a stranger had sent it, since native code that a hostile file
has taken over might send anything.
"""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xumx_jax.audio.containers import KEPT, Tags, open_binary
from xumx_jax.audio.decode import AudioStream
from xumx_jax.errors import UserError, warn
from xumx_jax.web.child import MOST_CHANNELS, Broken, Child, Late
from xumx_jax.web.decoder import BLOCK, BLOCK_SAMPLES, COVER, END, ERROR, HEADER, NAME, WARNING

LOG = logging.getLogger(__name__)
CODES = ("not_audio", "too_long", "cut_off", "took_too_long")
MOST_RATE = 1 << 20  # hertz; as many as a FLAC's header can hold
_MOST_WARNINGS, _MOST_LINE = 100, 300
_DOUBTFUL = 2  # lengths that are estimated from the first packets may be this much too large
_PROBE_SECONDS = 30
_BROKEN = "not an audio file that can be decoded (the decoder failed)"


@dataclass(frozen=True)
class Limits:
    """What decoding one file may take.

    max_seconds     of the track
    memory_bytes    of the child's address space
    cpu_seconds     of the child; None: a minute, and a tenth of `max_seconds`
    wait_seconds    that are spent waiting for the child; None: twice as much. Time in which nobody
                    asks it for more does not count.
    silent_seconds  until its next block
    """

    max_seconds: float = 180 * 60.0
    memory_bytes: int = 1 << 30
    cpu_seconds: int | None = None
    wait_seconds: float | None = None
    silent_seconds: float = 60.0


@dataclass(frozen=True)
class Probe:
    """What a file is: hertz, channels, and seconds, 0 if unknown; `exact` unless estimated."""

    rate: int
    channels: int
    seconds: float
    exact: bool


class Refused(UserError):
    """A file is not decoded; `code`, one of `CODES`, says why to programs."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def probe(path, label: str, limits: Limits) -> Probe:
    """Open a file in a child and decode its first block. Raises Refused with one line.

    `label` names the file in messages; of it, the child gets the suffix. It takes half a minute at
    most, since its sender waits, and others for their turn.
    """
    cpu = min(limits.cpu_seconds or _PROBE_SECONDS, _PROBE_SECONDS)
    wait = min(limits.wait_seconds or _PROBE_SECONDS, _PROBE_SECONDS)
    quick = replace(limits, cpu_seconds=cpu, wait_seconds=wait)
    with open_in_child(path, label, quick, tags=False) as stream:
        next(iter(stream), None)
        samples = stream.estimate if stream.length is None else stream.length
        exact = stream.length is not None
        return Probe(stream.rate, stream.channels, samples / stream.rate, exact)


@contextmanager
def open_in_child(path, label: str, limits: Limits, *, tags: bool = True) -> Iterator[AudioStream]:
    """Like `audio.open_blocks`, in a child process. Raises Refused, here or while blocks are read.

    The child has ended when the context is left, however that happens. Warnings are passed on as
    blocks are read.
    """
    suffix = re.sub(r"[^.a-z0-9]", "", Path(label).suffix.lower())[:8]
    cpu = limits.cpu_seconds or 60 + round(limits.max_seconds / 10)
    settings = {
        "suffix": suffix,
        "tags": tags,
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": cpu,
    }
    try:
        file = open_binary(path)
    except UserError as error:
        raise Refused("not_audio", str(error).replace(str(path), label)) from None
    with file:
        child = Child(file, settings, limits.wait_seconds or 2.0 * cpu, limits.silent_seconds)
    try:
        yield _Reader(child, label, NAME + suffix, limits.max_seconds).stream()
    finally:
        child.close()


class _Reader:
    """Makes an `AudioStream` of what a child sends."""

    def __init__(self, child, label, name, max_seconds):
        self._child, self._label, self._name = child, label, name
        self._max_seconds = max_seconds
        self._warnings: list[str] = []
        self._warned = 0

    def stream(self) -> AudioStream:
        cover = None
        while (frame := self._frame())[0] != HEADER:
            if frame[0] != COVER or cover is not None:
                raise self._broken(f"kind {frame[0]} came before the header")
            cover = bytes(frame[1])
        try:
            header = json.loads(frame[1])
            rate, channels = _count(header["rate"]), _count(header["channels"])
            length = None if header["length"] is None else _count(header["length"])
            estimate = _count(header["estimate"])
            tags = _tags(header["tags"], cover, header["mime"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._broken("its header is wrong") from None
        if not (0 < channels <= MOST_CHANNELS and 0 < rate <= MOST_RATE):
            raise self._refused(
                "not_audio",
                f"has {channels} channels at {rate} Hz; wanted 1 to {MOST_CHANNELS} channels at "
                f"up to {MOST_RATE} Hz",
            )
        most = round(self._max_seconds * rate)
        if (length or 0) > most or estimate > most * _DOUBTFUL:
            raise self._too_long((length or estimate) / rate)
        return AudioStream(rate, channels, length, self._blocks(channels, rate), tags, estimate)

    def _blocks(self, channels, rate):
        samples, last = 0, False
        while True:
            kind, data = self._frame()
            for line in self._warnings:
                warn(line)
            self._warnings.clear()
            if kind == END:
                return
            count, rest = divmod(len(data), 4 * channels)
            if kind != BLOCK or last or rest or not 0 < count <= BLOCK_SAMPLES:
                raise self._broken(f"{len(data)} bytes of kind {kind} came in place of a block")
            last = count < BLOCK_SAMPLES  # many small ones would keep us busy for ever
            samples += count
            if samples > round(self._max_seconds * rate):
                raise self._too_long(samples / rate)
            yield np.frombuffer(data, "<f4").reshape(channels, -1)

    def _frame(self) -> tuple[int, bytearray]:
        """The next frame that is not a warning; an error is raised."""
        while True:
            try:
                kind, data = self._child.frame()
            except Late:
                raise self._refused("took_too_long", "took too long to decode") from None
            except Broken as error:
                raise self._broken(error) from None
            if kind == ERROR:
                raise self._error(data)
            if kind != WARNING:
                return kind, data
            self._warned += 1
            if self._warned > _MOST_WARNINGS:
                raise self._broken("it warned without end")
            self._warnings.append(self._told(data.decode(errors="replace")))

    def _error(self, data) -> Refused:
        try:
            error = json.loads(data)
            code, line = error["code"], error["line"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._broken("its error is wrong")
        if code not in CODES or not isinstance(line, str):
            return self._broken("its error is wrong")
        return Refused(code, self._told(line))

    def _told(self, line) -> str:
        """A line of the child's, which has a name of its own for the file, as one of ours."""
        line = "".join(c if c.isprintable() else " " for c in line[:_MOST_LINE])
        return line.replace(f"{self._name}:", f"{self._label}:", 1)

    def _refused(self, code, reason) -> Refused:
        return Refused(code, f"{self._label}: {reason}")

    def _broken(self, why) -> Refused:
        LOG.warning("a decoder failed: %s", why)
        return self._refused("not_audio", _BROKEN)

    def _too_long(self, seconds) -> Refused:
        return self._refused(
            "too_long",
            f"is {seconds / 60:.1f} minutes long, or more; wanted up to "
            f"{self._max_seconds / 60:g} minutes",
        )


def _count(value) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError
    return value


def _tags(text, cover, mime) -> Tags:
    strings = isinstance(text, dict) and all(isinstance(value, str) for value in text.values())
    if not strings or set(text) - set(KEPT) or mime not in ("", "image/jpeg", "image/png"):
        raise ValueError
    return Tags(text, cover, mime if cover else "")
