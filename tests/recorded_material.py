"""A tiny folder of recordings for the tests of songs: sines with the right names."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
NAMES = ("c", "db", "d", "eb", "e", "f", "gb", "g", "ab", "a", "bb", "b")


def sine(pitch: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    return 0.5 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)


def name_of(pitch: int) -> str:
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def put(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {".ogg": ("OGG", "VORBIS"), ".flac": ("FLAC", "PCM_16"), ".wav": ("WAV", "PCM_16")}
    kind, subtype = form[path.suffix]
    soundfile.write(path, wave, RATE, format=kind, subtype=subtype)


def make(root: Path) -> Path:
    """ROOT/{emilyguitar,growlybass,weresax,everything-is-free,sectoid,sonic-pi,...}."""
    for pitch in range(40, 85, 4):
        put(root / "emilyguitar" / "notes" / f"{name_of(pitch)}_mf_rr1.wav", sine(pitch))
    for pitch in range(28, 56, 4):  # named an octave above their sound
        put(root / "growlybass" / "sustain" / f"{name_of(pitch + 12)}_f_rr1.wav", sine(pitch))
    for pitch in range(50, 80, 4):
        low = name_of(pitch - 12)
        put(root / "weresax" / "Samples" / "alto" / f"{low}_f_rr1_dnm.wav", sine(pitch))
    rng = np.random.default_rng(0)
    noise = 0.3 * rng.normal(size=2 * RATE) * np.exp(-np.arange(2 * RATE) % (RATE // 2) / 800)
    put(root / "growlybass" / "scrape" / "scrape_1_rr1.wav", noise[:1000])
    for song, names in (
        ("hydrogen", ("VOX LEAD", "BGVOX AAHH", "MAIN DRUMS", "BEEPS")),
        ("caesium", ("VOX LEAD",)),
    ):
        for index, name in enumerate(names):
            put(root / "everything-is-free" / song / f"{name}.flac", sine(60 + index, 12.0))
    songs = root / "sectoid" / "usr/share/games/fretsonfire/data/songs/sectoid"
    for song in ("Feelings", "War of freedom"):
        put(songs / song / "guitar.ogg", sine(57, 12.0))
    samples = root / "sonic-pi" / "usr/share/sonic-pi/samples"
    for name in ("loop_amen", "loop_breakbeat", "bd_808", "sn_dub", "drum_cymbal_closed"):
        put(samples / f"{name}.flac", noise)
    rooms = root / "web-audio-samples" / "src/sounds/impulse-responses"
    put(rooms / "echo-chamber.wav", noise[:2000])
    put(root / "web-audio-samples/src/sounds/drum-samples/LINN/kick.wav", noise[:2000])
    return root
