"""Sampled instruments: General MIDI soundfonts played by `tinysoundfont`.

The soundfonts are Debian's `musescore-general-soundfont` (MIT; its drumline, cymbals and ensemble
strings are CC0, its grand piano public domain) and `fluidr3mono-gm-soundfont` (MIT): see
/usr/share/doc/*-soundfont/copyright. Their .sf3 files hold Ogg Vorbis samples, which tinysoundfont
(MIT) reads as it reads .sf2.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

try:
    import tinysoundfont
except ImportError:  # the plain engine needs none
    tinysoundfont = None

RATE = 44100
FOLDERS = ("/usr/share/sounds/sf3", "/usr/share/sounds/sf2", "/usr/share/soundfonts")
NAMES = ("MuseScore_General.sf3", "FluidR3Mono_GM.sf3", "FluidR3_GM.sf2", "MuseScore_General.sf2")


def font_paths() -> list:
    """The soundfonts that are installed, at most two, in a fixed order."""
    found = {name: Path(folder) / name for name in NAMES for folder in FOLDERS
             if (Path(folder) / name).is_file()}  # fmt: skip
    musescore = [found[n] for n in NAMES if n in found and n.startswith("MuseScore")][:1]
    fluid = [found[n] for n in NAMES if n in found and n.startswith("Fluid")][:1]
    return musescore + fluid


@lru_cache(maxsize=4)
def _synth(path: Path):
    """The synthesiser of one soundfont (takes seconds, and up to a gigabyte)."""
    synth = tinysoundfont.Synth(gain=-6.0, samplerate=RATE)
    synth.sfload(str(path), max_voices=160)
    return synth


def load() -> None:
    """Loads the soundfonts now, so that processes forked later share them."""
    for path in font_paths():
        _synth(path)


def play(font: int, bank: int, program: int, notes: list, samples: int, tuning: float = 0.0):
    """Notes in seconds -> [2, time] at 44.1 kHz; bank 128 is drums."""
    paths = font_paths()
    synth = _synth(paths[font % len(paths)])
    sfid = 0
    drums = bank == 128
    if synth.sfpreset_name(sfid, bank, program) is None:
        bank, program = (128, 0) if drums else (0, program)
    channel = 9 if drums else 0
    synth.program_select(channel, sfid, 0 if drums else bank, program, drums)
    synth.set_tuning(channel, tuning)
    events = []
    for note in notes:
        velocity = int(np.clip(round(note.velocity * 127), 1, 127))
        start, stop = round(note.start * RATE), round((note.start + note.length) * RATE)
        if start < samples:
            events.append((start, 1, int(round(note.pitch)), velocity))
            events.append((max(stop, start + 1), 0, int(round(note.pitch)), 0))
    out = np.zeros((samples, 2), np.float32)
    now = 0
    for moment, on, key, velocity in sorted(events):
        moment = min(moment, samples)
        if moment > now:
            out[now:moment] = _generate(synth, moment - now)
            now = moment
        if on:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
    if now < samples:
        out[now:] = _generate(synth, samples - now)
    # Silence what still rings, so that the next part starts from nothing.
    synth.sounds_off(channel)
    for _ in range(20):
        if np.abs(_generate(synth, RATE // 10)).max() == 0:
            break
    return out.T


def _generate(synth, samples: int) -> np.ndarray:
    """The synthesiser's next [time, 2]."""
    return np.frombuffer(synth.generate_simple(samples), np.float32).reshape(-1, 2)
