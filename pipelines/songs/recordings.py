"""Recordings read from files: single notes that are played at any pitch, excerpts, rooms."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from xumx_jax.errors import UserError

from .lines import FRAME_SECONDS, Gesture

LONGEST_SECONDS = 10.0


def read(path: Path, start: float = 0.0, seconds: float | None = None) -> tuple:
    """(samples [channel, time], rate) of a file from `start`; UserError if it cannot be read.

    `seconds` beyond its end are not there.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(round(start * rate), file.frames))
            count = -1 if seconds is None else min(file.frames, round(seconds * rate))
            wave = file.read(count, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return np.ascontiguousarray(wave.T), rate


def seconds(path: Path) -> float:
    """How long a file is; UserError if it cannot be read."""
    try:
        return soundfile.info(path).duration
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def stereo(wave: np.ndarray, rate: float, target: float) -> np.ndarray:
    """[channel, time] at `rate` -> [2, time] at `target`: its first two channels, or one twice."""
    import soxr

    pair = np.stack([wave[0], wave[min(1, len(wave) - 1)]])
    return soxr.resample(np.ascontiguousarray(pair.T), rate, target).T


def add(out: np.ndarray, wave: np.ndarray, start: int) -> None:
    """Add [..., time] to a longer wave from sample `start` on; what is beyond its end is cut."""
    room = out[..., start : start + wave.shape[-1]]
    room += wave[..., : room.shape[-1]]


@lru_cache(maxsize=192)
def note(path: Path) -> tuple:
    """(samples [time] of peak 1, rate): one recorded note, the silence before it cut off."""
    wave, rate = read(path, 0.0, LONGEST_SECONDS)
    mono = wave.mean(0)
    peak = float(np.abs(mono).max()) if mono.size else 0.0
    if peak < 1e-5:
        return np.zeros(1, np.float32), rate
    loud = np.flatnonzero(np.abs(mono) > 0.02 * peak)
    return mono[max(0, loud[0] - rate // 500) :] / peak, rate


@lru_cache(maxsize=64)
def room(path: Path, rate: int) -> np.ndarray:
    """[2, tap]: a recorded room at `rate`, of unit energy, its first 4 s."""
    wave = stereo(*read(path, 0.0, 4.0), rate)
    energy = float((wave**2).sum(-1).mean())
    return (wave / np.sqrt(energy or 1.0)).astype(np.float32)


def nearest(notes: tuple, pitch: float, force: float, rng):
    """One of the recorded notes: the nearest pitch, then about that loudness, any of the takes."""
    away = min(abs(n.pitch - pitch) for n in notes)
    close = [n for n in notes if abs(n.pitch - pitch) <= away + 0.5]
    gap = min(abs(n.force - force) for n in close)
    close = [n for n in close if abs(n.force - force) <= gap + 0.12]
    return close[int(rng.integers(len(close)))]


def follow(wave: np.ndarray, rate: int, pitch: float, gesture: Gesture, target: int,
           release: float) -> np.ndarray:  # fmt: skip
    """Reads a recording of `pitch` along a gesture's curve -> [time] at `target` Hz, faded out.

    Ends where the recording ends.
    """
    length = round((gesture.seconds + release) * target)
    frame = np.arange(length) / (target * FRAME_SECONDS)
    curve = np.interp(frame, np.arange(len(gesture.curve)), gesture.curve)
    speed = 2 ** ((curve - pitch) / 12) * (rate / target)
    # A tied note begins where the attack is over.
    begin = min(0.07 * rate, 0.2 * len(wave)) if gesture.soft else 0.0
    spots = begin + np.cumsum(speed) - speed[0]
    spots = spots[spots < len(wave) - 1]
    if len(spots) < 8:
        return np.zeros(0, np.float32)
    index = spots.astype(np.int64)
    part = (spots - index).astype(np.float32)
    out = wave[index] * (1 - part) + wave[index + 1] * part
    rise = min(len(out), round((0.03 if gesture.soft else 0.001) * target))
    fall = min(len(out), max(8, round(release * target)))
    out[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    out[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
    return out
