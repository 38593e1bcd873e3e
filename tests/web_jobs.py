"""Folders of jobs that are done, made by `separate_file` and a separator that needs no model."""

from dataclasses import dataclass

import numpy as np

from xumx_jax.separation.file import separate_file
from xumx_jax.web.jobs import Result, Stem

RATE = 44100
NAMES = ("bass", "drums", "other", "vocals")
_BLOCK = 10_007  # no divisor of anything


def share(mix, at):
    """What is the stem number `at` of a mixture."""
    return np.float32(1 - at / 8) * np.roll(mix, 100 * at, 1)


@dataclass
class Shares:
    """Give each stem the mixture, turned by some samples, times a level and a share of its own."""

    level: float = 0.25
    sources: tuple[str, ...] = NAMES
    rate: int = RATE

    def stream(self, blocks, rate, expected, tick):
        mix = np.concatenate(list(blocks), axis=1)
        parts = {name: share(mix, at) for at, name in enumerate(self.sources)}
        for at in range(0, mix.shape[1], _BLOCK):
            tick(at / mix.shape[1], None)
            yield {
                name: np.float32(self.level) * part[:, at : at + _BLOCK]
                for name, part in parts.items()
            }


def sound(seconds=7.0, channels=2, peak=0.9):
    """Noise over a tone [channel, time], longer than one block of the encoders."""
    rng = np.random.default_rng(int(1000 * seconds))
    time = np.arange(round(seconds * RATE)) / RATE
    tone = 0.6 * np.sin(2 * np.pi * 330 * time)
    return (peak * (tone + rng.uniform(-0.4, 0.4, (channels, len(time))))).astype(np.float32)


def finished(folder, song, level=0.25):
    """Separate the file `song` into a job's folder, as the server's worker does -> its Result."""
    from xumx_jax.audio import decode, read_tags
    from xumx_jax.web.floats import write_tags

    folder.mkdir()
    paths = {name: folder / f"{name}.wav" for name in NAMES}
    done = separate_file(Shares(level), song, paths)
    wave, _ = decode(song)
    for at, name in enumerate(NAMES):
        stem = np.float32(level) * share(wave, at)
        np.ascontiguousarray(stem.T).tofile(folder / f"{name}.f32")
    write_tags(folder, read_tags(song))
    stems = tuple(Stem(name, 0, peak) for name, peak in done.peaks.items())
    return Result(done.stems_rate, len(wave), done.stems_samples, done.gain, stems)
