"""Which clips a mixture has, where they lie and how loud they are: pure functions of numbers."""

import math
from dataclasses import dataclass

import numpy as np

CLASSES = MUSIC, SFX, SPEECH = ("music", "sfx", "speech")
COUNTS = {MUSIC: 7.0, SFX: 12.0, SPEECH: 8.0}  # means of Poisson distributions without their zero
LUFS = {MUSIC: -24.0, SFX: -21.0, SPEECH: -17.0}
MASTER_LUFS, PEAK_DB = -27.0, -0.5
CLASS_RANGE, CLIP_RANGE = 2.0, 1.0  # LU above or below, uniform: of a class or the master, a clip
SKEW, SPREAD_SECONDS, PAUSE_SECONDS = 5.0, 2.0, 1.0  # of starts, after the end of the clip before
LAST_SECONDS = 2.0  # music and effects begin this long before the end, or earlier
LEAST_ROOM = 0.3  # share of the length of music and effects that there must be time for
SHORTEST_SECONDS = 0.1
# Speech is taken whole, except what is longer than this share of the mixture: cut, and faded out
LONGEST_SPEECH, FADE_SECONDS = 0.7, 3.0
STREAMS = (*CLASSES, "master")


def stream(seed: int, split: int, number: int, what: str) -> np.random.Generator:
    """The random numbers of one class, or of the master, in one mixture of a split."""
    word = split * len(STREAMS) + STREAMS.index(what)
    return np.random.Generator(np.random.Philox(key=[seed, number], counter=[0, 0, 0, word]))


def count_of(kind: str, uniform: float) -> int:
    """The number of clips: Poisson, given that it is not 0, by a number from 0 to 1."""
    mean, count = COUNTS[kind], 0
    share = below = math.exp(-mean)
    wanted = share + (1 - share) * uniform
    while below < wanted and below + share > below:  # else it is 1 but for rounding
        count += 1
        share *= mean / count
        below += share
    return max(1, count)


def skew_normal(skew: float, first: float, second: float) -> float:
    """A skew-normal number by two normal ones: Azzalini 1985, with shape `skew`."""
    delta = skew / math.hypot(1, skew)
    return delta * abs(first) + math.sqrt(1 - delta**2) * second


@dataclass(frozen=True)
class Place:
    """Where a clip lies in its mixture and in its file, in samples."""

    start: int
    samples: int
    offset: int
    fade: int = 0

    @property
    def end(self) -> int:
        """The sample after its last one, in the mixture."""
        return self.start + self.samples


def place(
    kind: str, length: int, end: int, samples: int, rate: int, normal: np.ndarray, uniform: float
) -> Place | None:  # fmt: skip
    """Place a clip of a file of `length` samples after the previous one, which ended at `end`.

    `samples` is the length of the mixture; `normal` are three normal numbers, `uniform` is one from
    0 to 1. None if too little time is left for this file.
    """
    room, fade = samples - end, 0
    if kind == SPEECH:
        if length >= (longest := math.floor(LONGEST_SPEECH * samples)):
            length, fade = longest, min(longest, round(FADE_SECONDS * rate))
        latest = samples - length
    else:
        latest = samples - round(LAST_SECONDS * rate)
        # beside the file's own length that of the mixture: else songs of minutes would never fit
        if room <= LEAST_ROOM * min(length, samples):
            return None
    if latest < end:
        return None
    later = PAUSE_SECONDS + SPREAD_SECONDS * skew_normal(SKEW, normal[0], normal[1])
    start = min(end + round(max(0.0, later) * rate), latest)
    longest = min(length, samples - start)
    if kind == SPEECH:
        return Place(start, longest, 0, fade)
    least = min(longest, round(SHORTEST_SECONDS * rate))
    size = int(np.clip(round(longest / 2 + longest / 10 * normal[2]), least, longest))
    offset = int(uniform * (length - size + 1)) if kind == MUSIC else 0
    return Place(start, size, offset)


def around(middle: float, reach: float, uniform: float) -> float:
    """Map a number from 0 to 1 to one from `reach` below to `reach` above the middle."""
    return middle + reach * (2 * uniform - 1)
