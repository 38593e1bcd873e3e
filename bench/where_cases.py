"""The test kinds of `bench/where.py`: what part lies over what, and where it belongs."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import where_sounds as sounds
from where_recorded import Material
from where_sounds import RATE

from pipelines.songs import effects

ALL = (0.0, np.inf)
BAND = ("kit", "bassline", "pad")
# Four on the floor hides a sub-bass, a loop a soft kit, and a band the middle.
DRUMS = (("loop",), ("rock",), ("house",))
BEDS = (*DRUMS, BAND)
SUNG_RANGE, LOW_RANGE = (55, 79), (0, 52)  # MIDI pitches: where one sings, and below
FULL_SCALE = 0.7  # of a mixture's largest sample


@dataclass(frozen=True)
class Case:
    """One row of the table.

    source    the stem in which the part belongs
    part      (material, rng, seconds) -> the part, or the part and all other music, [..., time]
    beds      what lies under it, mixture by mixture in turn; none if `part` brings it
    band_hz   the bins that count
    bound     (source, "most" or "least", percent), or None
    gain_db   of the part over the bed: from, to; None leaves the levels of a recording
    """

    name: str
    source: str
    part: Callable[[Material, Any, float], Any]
    beds: tuple[tuple[str, ...], ...] = BEDS
    band_hz: tuple[float, float] = ALL
    bound: tuple[str, str, float] | None = None
    gain_db: tuple[float, float] | None = (-3.0, 3.0)


@dataclass(frozen=True)
class Mixture:
    """A part and all that is not of it, [channel, time]; the mixture is their sum."""

    part: np.ndarray
    rest: np.ndarray

    @property
    def mix(self) -> np.ndarray:
        return self.part + self.rest


def _recorded(instrument: str, between: tuple[int, int] = (0, 127)):
    return lambda material, rng, length: material.line(rng, length, instrument, between)


def _distorted(material: Material, rng, length: float) -> np.ndarray:
    wave = material.line(rng, length, "guitar", SUNG_RANGE)
    return np.tanh(12 * wave / np.abs(wave).max())


def _powerful(material: Material, rng, length: float) -> np.ndarray:
    """A distorted guitar with its fifths and its double on the other side."""
    sides = []
    for _ in range(2):
        wave = material.line(
            np.random.default_rng(rng.integers(1 << 30)), length, "guitar", LOW_RANGE
        )
        places = np.arange(len(wave)) * 1.5
        wave = wave + np.interp(places, np.arange(len(wave)), wave, right=0.0)
        sides.append(np.tanh(15 * wave / np.abs(wave).max()))
    return np.stack(sides)


def _made(function, *values):
    return lambda material, rng, length: function(rng, length, *values)


def _far(part):
    """The same with the reverberation of a hall."""

    def make(material, rng, length):
        wave = _stereo(part(material, rng, length))
        return effects.apply(wave, RATE, [("reverb", 0.9, 0.4)], pedals=False)

    return make


def _sung(parts: str):
    return lambda material, rng, length: material.sung(rng, length, parts)


def _band(material: Material, rng, length: float):
    return material.band(rng, length)


def _loop(material: Material, rng, length: float) -> np.ndarray:
    return material.loop(rng, length)


def _kit(material: Material, rng, length: float) -> np.ndarray:
    return material.kit(rng, length)


NOT_SUNG = ("vocals", "most", 30.0)
LOW, HIGH, SIBILANT = (80.0, 300.0), (3000.0, 8000.0), (2000.0, 8000.0)
DRUMLESS = (("pad",),)
TUNED = (("bassline", "pad"),)
LEAD, STACK = r"bgvox[ _]main", r"bgvox"  # the song's lead sounds in its last seconds alone
CASES = (
    Case("electric guitar, clean", "other", _recorded("guitar", SUNG_RANGE), bound=NOT_SUNG),
    Case("electric guitar, through tanh", "other", _distorted, bound=NOT_SUNG),
    Case("archtop guitar", "other", _recorded("archtop", SUNG_RANGE), bound=NOT_SUNG),
    Case("lead guitar in its band", "other", _band, (), bound=NOT_SUNG, gain_db=None),
    Case("alto saxophone", "other", _recorded("sax", SUNG_RANGE), bound=NOT_SUNG),
    Case("synth arpeggio", "other", _made(sounds.arpeggio), bound=NOT_SUNG),
    Case("synth arpeggio, 120-500 Hz", "other", _made(sounds.arpeggio), band_hz=(120.0, 500.0),
         bound=NOT_SUNG),
    Case("power chords", "other", _powerful),
    Case("power chords, 3-8 kHz", "other", _powerful, band_hz=HIGH),
    Case("low guitar, 80-300 Hz", "other", _recorded("guitar", LOW_RANGE), DRUMS, LOW),
    Case("low piano, 80-300 Hz", "other", _made(sounds.piano), DRUMS, LOW),
    Case("sub-bass of 0.1 s", "bass", _made(sounds.sub, 0.1), DRUMS, bound=("bass", "least", 70.0)),
    Case("sub-bass of 0.4 s", "bass", _made(sounds.sub, 0.4), DRUMS, bound=("bass", "least", 70.0)),
    Case("sub-bass of 1.5 s", "bass", _made(sounds.sub, 1.5), DRUMS, bound=("bass", "least", 70.0)),
    Case("sub-bass without drums", "bass", _made(sounds.sub, 0.8), DRUMLESS,
         bound=("bass", "least", 70.0)),
    Case("short bass notes", "bass", _recorded("short bass"), DRUMS),
    Case("bass guitar", "bass", _recorded("bass"), (*DRUMS, ("kit", "pad"))),
    Case("bass guitar without drums", "bass", _recorded("bass"), DRUMLESS),
    Case("double bass, plucked", "bass", _recorded("double bass"), DRUMS),
    Case("stacked voices, recorded", "vocals", _sung(STACK), (),
         bound=("vocals", "least", 60.0), gain_db=(-6.0, 0.0)),
    Case("stacked voices, recorded, 0.2-2 kHz", "vocals", _sung(STACK), (), (200.0, 2000.0),
         gain_db=(-6.0, 0.0)),
    Case("stacked voices, made", "vocals", _far(_made(sounds.voices, 6)), (BAND,),
         bound=("vocals", "least", 60.0), gain_db=(-9.0, -3.0)),
    Case("main voice", "vocals", _sung(LEAD), (), gain_db=None),
    Case("soft main voice", "vocals", _sung(LEAD), (), gain_db=(-12.0, -6.0)),
    Case("main voice, 2-8 kHz", "vocals", _sung(LEAD), (), SIBILANT, gain_db=None),
    Case("drum loops", "drums", _loop, TUNED),
    Case("drum machine and break kit", "drums", _kit, TUNED),
    Case("rock kit, loud", "drums", _made(sounds.drums, "rock"), TUNED, gain_db=(3.0, 9.0)),
    Case("brushes", "drums", _made(sounds.drums, "brushes"), TUNED, gain_db=(-9.0, -3.0)),
    Case("long kicks", "drums", _made(sounds.drums, "house", 0.35), DRUMLESS),
)  # fmt: skip
# Parts that play whole songs without a voice: their vocals should be silent.
INSTRUMENTAL = {
    "guitar over a band": _recorded("guitar", SUNG_RANGE),
    "distorted guitar over a band": _distorted,
    "saxophone over a band": _recorded("sax", SUNG_RANGE),
    "arpeggio over a band": _made(sounds.arpeggio),
    "a band with lead guitar": _band,
}


def _stereo(wave: np.ndarray) -> np.ndarray:
    return np.stack([wave, wave]) if wave.ndim == 1 else wave


def loudness(wave: np.ndarray) -> float:
    """Root mean square of the 50 ms blocks that are within 30 dB of the loudest."""
    size = RATE // 20
    blocks = wave[:, : wave.shape[1] // size * size].reshape(len(wave), -1, size)
    power = np.square(blocks, dtype=float).mean((0, 2))
    return float(np.sqrt(power[power >= 1e-3 * power.max()].mean()))


def _bed(names: tuple[str, ...], material: Material, rng, length: float) -> np.ndarray:
    out = np.zeros((2, round(length * RATE)))
    for name in names:
        if name in ("loop", "kit"):
            wave = _stereo(getattr(material, name)(rng, length))
        elif name in sounds.GROOVES:
            wave = _stereo(sounds.drums(rng, length, name))
        else:
            wave = _stereo(getattr(sounds, name)(rng, length))
        out += wave * 10 ** (rng.uniform(-3, 0) / 20) / loudness(wave)
    return out


def mixtures(
    name: str,
    part: Callable,
    material: Material,
    count: int,
    length: float,
    seed: int,
    beds: tuple[tuple[str, ...], ...] = (BAND,),
    gain_db: tuple[float, float] | None = (-3.0, 3.0),
) -> Iterator[Mixture]:
    """Make the mixtures of a row, the same for the same name, seed and material.

    Raises NoMaterial if a recording is missing.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        found = part(material, rng, length)
        if isinstance(found, tuple):  # as they were played
            wave, rest = map(_stereo, found)
        else:
            wave, rest = _stereo(found), _bed(beds[number % len(beds)], material, rng, length)
        if gain_db is not None:
            wave = wave * 10 ** (rng.uniform(*gain_db) / 20) * loudness(rest) / loudness(wave)
        scale = FULL_SCALE / np.abs(wave + rest).max()
        yield Mixture((scale * wave).astype(np.float32), (scale * rest).astype(np.float32))
