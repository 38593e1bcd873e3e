"""A balance of stems: gain, pan, region, speed and pitch -> the samples that are heard."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import cos, isfinite, pi, sin
from pathlib import Path

import numpy as np

from xumx_jax.audio.resample import whole_rate
from xumx_jax.errors import UserError
from xumx_jax.web.jobs import Result

BLOCK = 1 << 18  # frames, as `audio.encode` takes them, so that encoders see the same pieces
MOST_GAIN, SPEEDS, MOST_SEMITONES = 10.0, (0.5, 2.0), 12
_SETTLED_SECONDS = 1  # of silence after the end, so that the filter gives all that it holds


@dataclass(frozen=True)
class Balance:
    """What is to be heard of a job's stems.

    parts      {stem: (gain, pan)}, added in this order; gain 0 to 10, pan -1 (left) to 1 (right)
    start      the first frame of the song
    frames     how many of them; None: to the end
    speed      0.5 to 2 times as fast, at the same pitch
    transpose  semitones higher, -12 to 12, at the same speed

    A pan follows the Web Audio API's StereoPannerNode, so that a page which uses one sounds like
    what it downloads: of a stereo stem the side that is turned away is moved into the other, and a
    mono one is placed with equal power. A mono song stays mono as long as no pan is given.
    """

    parts: Mapping[str, tuple[float, float]]
    start: int = 0
    frames: int | None = None
    speed: float = 1.0
    transpose: int = 0

    def check(self, result: Result) -> None:
        """Raise UserError, naming what is wrong, unless it can be made of this result."""
        names = [stem.name for stem in result.stems]
        if not self.parts:
            raise UserError(f"no stem was chosen; wanted some of {', '.join(names)}")
        for name, (gain, pan) in self.parts.items():
            if name not in names:
                raise UserError(f"unknown stem {name!r}; the job has {', '.join(names)}")
            if not 0 <= gain <= MOST_GAIN:
                raise UserError(f"{name}: gain is {gain:g}; wanted 0 to {MOST_GAIN:g}")
            if not -1 <= pan <= 1:
                raise UserError(f"{name}: pan is {pan:g}; wanted -1 (left) to 1 (right)")
        if not 0 <= self.start <= result.frames:
            raise UserError(f"start is {self.start}; wanted a frame from 0 to {result.frames}")
        if self.frames is not None and not 0 <= self.frames <= result.frames - self.start:
            left = result.frames - self.start
            raise UserError(f"frames is {self.frames}; wanted 0 to {left}, what follows start")
        if not (isfinite(self.speed) and SPEEDS[0] <= self.speed <= SPEEDS[1]):
            raise UserError(f"speed is {self.speed:g}; wanted {SPEEDS[0]:g} to {SPEEDS[1]:g}")
        if not -MOST_SEMITONES <= self.transpose <= MOST_SEMITONES:
            raise UserError(
                f"transpose is {self.transpose}; wanted -{MOST_SEMITONES} to {MOST_SEMITONES} "
                "semitones"
            )

    def channels(self, result: Result) -> int:
        """How many channels there are to hear."""
        return 2 if any(pan for _, pan in self.parts.values()) else result.channels

    def length(self, result: Result) -> int:
        """How many frames there are to hear."""
        return round(self._taken(result) / self.speed)

    def _taken(self, result) -> int:
        return result.frames - self.start if self.frames is None else self.frames

    def blocks(self, folder: Path, result: Result) -> Iterator[np.ndarray]:
        """Yield the samples, float32 [channel, time], BLOCK frames each but for the last.

        With all gains 1, and no pan, speed or transposition, they are those of `--mix`, bit for
        bit. Raises OSError if a file of the job is not there any more.
        """
        mixed = self._mixed(folder, result)
        if self.speed == 1 and not self.transpose:
            return mixed
        length, channels, rate = self.length(result), self.channels(result), whole_rate(result.rate)
        filters = _filters(rate, self.speed, self.transpose)
        return _cut(_filtered(mixed, rate, channels, filters), channels, length)

    def _mixed(self, folder, result) -> Iterator[np.ndarray]:
        wide = self.channels(result) > result.channels
        end = self.start + self._taken(result)
        for at in range(self.start, end, BLOCK):
            stems = [
                panned(_read(folder / f"{name}.f32", result, at, min(BLOCK, end - at)), pan, wide)
                * np.float32(gain)
                for name, (gain, pan) in self.parts.items()
            ]
            yield sum(stems[1:], start=stems[0])


def _read(path, result, at, count):
    """Read some frames of a stem's floats -> [channel, time]."""
    offset = 4 * result.channels * at
    values = np.fromfile(path, np.float32, count * result.channels, offset=offset)
    if len(values) < count * result.channels:
        raise UserError(f"{path.name}: ends before the song does")
    return values.reshape(count, result.channels).T


def panned(wave, pan: float, wide: bool = False):
    """Move [channel, time] to the left (-1) or right (1); `wide`: make two channels of one.

    The algorithm is that of the Web Audio API, under "StereoPannerNode Panning".
    """
    if len(wave) == 1:
        if not (pan or wide):
            return wave
        angle = (pan + 1) * pi / 4
        return wave * np.array([[cos(angle)], [sin(angle)]], np.float32)
    if not pan:
        return wave
    left, right = wave
    angle = (pan + 1 if pan < 0 else pan) * pi / 2
    near, far = np.float32(cos(angle)), np.float32(sin(angle))
    if pan < 0:
        return np.stack([left + right * near, right * far])
    return np.stack([left * near, right + left * far])


def _filters(rate, speed, semitones):
    """[(name, arguments)] of FFmpeg's filters that change speed and pitch.

    The pitch is that of samples which are played faster, and the tempo then put right.
    """
    tuned = round(rate * 2 ** (semitones / 12))
    tempo = speed * rate / tuned
    steps = 1 if 0.5 <= tempo <= 2 else 2  # beyond these atempo cannot, or leaves samples out
    tuning = [("asetrate", str(tuned)), ("aresample", str(rate))] if semitones else []
    return tuning + [("atempo", f"{tempo ** (1 / steps):.9f}")] * steps


def _filtered(blocks, rate, channels, filters):
    """Yield [channel, time] as it leaves a chain of FFmpeg's filters."""
    from av.audio.frame import AudioFrame
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    layout = ("mono", "stereo")[channels - 1]
    graph = Graph()
    source = graph.add_abuffer(
        format="fltp", sample_rate=rate, layout=layout, time_base=Fraction(1, rate)
    )
    chain = [source, *(graph.add(*one) for one in filters), graph.add("abuffersink")]
    for one, following in pairwise(chain):
        one.link_to(following)
    graph.configure()
    at = 0

    def push(block):
        nonlocal at
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        at += block.shape[1]
        graph.push(frame)

    def pull():
        while True:
            try:
                made = graph.pull()
            except (BlockingIOError, EOFError):
                return
            yield made.to_ndarray().reshape(-1, channels).T  # it comes interleaved

    for block in blocks:
        push(block)
        yield from pull()
    push(np.zeros((channels, _SETTLED_SECONDS * rate), np.float32))
    graph.push(None)
    yield from pull()


def _cut(pieces, channels, length):
    """Yield `length` frames of [channel, time] pieces, BLOCK at a time, and zeros for missing."""
    held, given = np.zeros((channels, 0), np.float32), 0
    waiting, count = [], 0
    for piece in pieces:
        waiting.append(piece)
        count += piece.shape[1]
        if count >= BLOCK:
            held = np.concatenate(waiting, axis=1)
            while held.shape[1] >= BLOCK and given + BLOCK <= length:
                yield held[:, :BLOCK]
                held, given = held[:, BLOCK:], given + BLOCK
            waiting, count = [held], held.shape[1]
    if given < length:
        held = np.concatenate([held[:, :0], *waiting], axis=1)[:, : length - given]
        yield np.pad(held, ((0, 0), (0, length - given - held.shape[1])))
