"""Small test sets on disk: noise that every source has for itself, so that scores are finite."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
SOURCES = ("vocals", "drums", "bass", "other")


def noise(seed: int, samples: int, channels: int = 2) -> np.ndarray:
    """Float [time, channel]."""
    return 0.1 * np.random.default_rng(seed).normal(size=(samples, channels))


def write(path: Path, wave: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def make(
    root: Path, names=("one", "two", "three"), subset="test", *,
    mixture=True, sources=SOURCES, samples=2 * RATE + 800, channels=2, rate=RATE,
) -> Path:  # fmt: skip
    """ROOT/<subset>/<track>/{mixture,<source>}.wav, 16 bit; without a subset ROOT/<track>/..."""
    for number, name in enumerate(names):
        waves = [noise(100 * number + i, samples, channels) for i in range(len(sources))]
        for source, wave in zip(sources, waves, strict=True):
            write(root / subset / name / f"{source}.wav", wave, rate)
        if mixture:
            write(root / subset / name / "mixture.wav", sum(waves), rate)
    return root


def estimate(root: Path, folder: Path, names=("one", "two", "three"), sources=SOURCES) -> Path:
    """FOLDER/test/<track>/<source>.wav: the truth of ROOT and a little noise, float."""
    for name in names:
        for number, source in enumerate(sources):
            wave, rate = soundfile.read(root / "test" / name / f"{source}.wav", always_2d=True)
            wave = wave + 0.1 * noise(1000 + number, *wave.shape)
            write(folder / "test" / name / f"{source}.wav", wave, rate, "FLOAT")
    return folder
