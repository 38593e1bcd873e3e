"""Folders of tracks made of noise, and what lies in them, read by another reader."""

import numpy as np
import soundfile

from pipelines.datasets import open_data

SOURCES = ("bass", "drums", "other")
RATE = 8000
LENGTHS = (100, 64, 30)


def write(root, lengths=LENGTHS, sources=SOURCES, subtype="PCM_16"):
    rng = np.random.default_rng(0)
    for track, length in enumerate(lengths):
        (root / f"{track}").mkdir(parents=True)
        for source in sources:
            wave = rng.uniform(-0.5, 0.5, (length, 2))
            soundfile.write(root / f"{track}" / f"{source}.wav", wave, RATE, subtype=subtype)


def opened(root):
    return open_data("folder", root, SOURCES, RATE, 2, {})[0]


def excerpt(tracks, source, track, start, samples):
    """[channel, time], by another reader than the loader's."""
    path = tracks.clips[source][track][0].file.path
    wave = soundfile.read(path, dtype="float32")[0].T[:, start : start + samples]
    return np.pad(wave, ((0, 0), (0, samples - wave.shape[1])))
