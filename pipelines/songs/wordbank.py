"""Spoken words, analysed once: flite speaks, WORLD takes apart, a cache folder keeps.

flite (Debian package `flite`, CMU's permissive licence) speaks each word with each voice; WORLD
(`pyworld`, MIT; modified BSD) splits it into pitch, spectral envelope and aperiodicity every 5 ms;
flite's own segment times say where the vowels are. The cache is ~/.cache/xumx_jax/words, or
`words` in the folder that XUMX_CACHE names: about 40 MB a voice, made in some 40 seconds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from xumx_jax import files
from xumx_jax.errors import UserError

from . import neural
from .words import EVERY, SPELLED

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for its version, which warns
        import pyworld
except ImportError:  # the plain engine needs none
    pyworld = None

VOICES = ("slt", "rms", "awb", "kal16")
RATE = 16000
BINS = 257  # of the envelope, 0 to 8 kHz
ROUGH = 33  # of the aperiodicity
FRAME_SECONDS = 0.005
VERSION = 1
VOWELS = frozenset("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())


class Word(NamedTuple):
    """A word's frames in its voice's arrays and its phones: (name, first frame, end frame)."""

    start: int
    phones: tuple


class Voice(NamedTuple):
    """All words of one voice: log envelope [frame, bin], aperiodicity [frame, bin], pitch."""

    envelope: np.ndarray
    noise: np.ndarray
    pitch_hz: np.ndarray
    words: dict


def folder() -> Path:
    """Where the analysed words are kept."""
    root = os.environ.get("XUMX_CACHE") or Path.home() / ".cache" / "xumx_jax"
    return Path(root) / "words"


def path(voice: str) -> Path:
    """The cache file of a voice."""
    return folder() / f"{voice}-{VERSION}.npz"


def speak(voice: str, word: str) -> tuple:
    """One word by flite or the neural voice: (samples, phones with their end times in seconds)."""
    if voice == neural.NAME:
        return neural.speak(SPELLED.get(word, word), *speak(neural.LIKE, word), RATE)
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / "word.wav"
        text = SPELLED.get(word, word)
        told = subprocess.run(
            ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(spoken)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        wave, rate = soundfile.read(spoken)
    if rate != RATE:
        raise UserError(f"flite voice {voice}: spoke at {rate} Hz, wanted {RATE}")
    return wave, [(name, float(end)) for name, end in re.findall(r"([a-z]+):([\d.]+)", told)]


def analyse(task: tuple) -> tuple:
    """(voice, word) -> (envelope, aperiodicity, pitch, phones), silence around it cut off."""
    wave, segments = speak(*task)
    wave = np.ascontiguousarray(wave, np.float64)
    period = FRAME_SECONDS * 1000
    pitch, times = pyworld.dio(wave, RATE, f0_floor=60.0, f0_ceil=420.0, frame_period=period)
    pitch = pyworld.stonemask(wave, pitch, times, RATE)
    envelope = pyworld.cheaptrick(wave, pitch, times, RATE)
    noise = pyworld.d4c(wave, pitch, times, RATE)
    starts = [0.0, *(end for _, end in segments)]
    phones = [(name, round(a / FRAME_SECONDS), round(b / FRAME_SECONDS))
              for (name, b), a in zip(segments, starts, strict=False) if name != "pau"]  # fmt: skip
    first, last = phones[0][1], min(phones[-1][2], len(pitch))
    phones = tuple((name, a - first, min(b, last) - first) for name, a, b in phones)
    part = slice(first, last)
    return (
        np.log(np.maximum(envelope[part, ::2], 1e-12)).astype(np.float16),
        noise[part, :: (envelope.shape[1] - 1) // (ROUGH - 1)].astype(np.float16),
        pitch[part].astype(np.float32),
        phones,
    )


def build(voice: str, processes: int = 1) -> Path:
    """Analyses every word of a voice and writes the cache file, whole or not at all."""
    tasks = [(voice, word) for word in EVERY]
    print(f"songs: analysing the words of voice {voice}, once", file=sys.stderr)
    if processes < 2:
        found = [analyse(task) for task in tasks]
    else:
        with ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(analyse, tasks, chunksize=16))
    names, starts, counts = [], [], []
    place = 0
    for envelope, _, _, phones in found:
        starts.append(place)
        counts.append(len(phones))
        names += [(name, str(a), str(b)) for name, a, b in phones]
        place += len(envelope)
    target = path(voice)
    with files.replacing(target) as partial, partial.open("wb") as file:
        np.savez(
            file, envelope=np.concatenate([f[0] for f in found]),
            noise=np.concatenate([f[1] for f in found]),
            pitch_hz=np.concatenate([f[2] for f in found]),
            words=np.array(EVERY), starts=starts, counts=counts, phones=np.array(names),
        )  # fmt: skip
    return target


def voices() -> tuple:
    """The voices there are: flite's, and the neural one where its package is."""
    return (*VOICES, neural.NAME) if neural.hibari else VOICES


@lru_cache(maxsize=len(VOICES) + 1)
def load(voice: str) -> Voice:
    """A voice's words from the cache, made first where they are missing."""
    if not path(voice).is_file():
        build(voice)
    with np.load(path(voice)) as file:
        words, place, phones = {}, 0, file["phones"]
        for word, start, count in zip(file["words"], file["starts"], file["counts"], strict=True):
            rows = phones[place : place + count]
            place += count
            words[str(word)] = Word(int(start), tuple((str(n), int(a), int(b)) for n, a, b in rows))
        return Voice(file["envelope"], file["noise"], file["pitch_hz"], words)


def missing() -> list:
    """What the sung words need and this machine lacks."""
    out = [] if pyworld else ["pyworld (pip, with setuptools<80)"]
    return out if shutil.which("flite") else [*out, "flite (apt)"]
