"""Spoken words made to sing: vowels stretched to the notes, a new pitch, another throat."""

import numpy as np

from . import wordbank
from .score import stream
from .wordbank import BINS, FRAME_SECONDS, ROUGH, VOWELS, pyworld

GAP_SECONDS = 0.3  # longer silences are not synthesised
TOP_HZ = 7300.0  # above it the 16 kHz speech holds nothing


def _spread(marks: list, vowel: tuple, start: float, stop: float) -> None:
    """Stretches a vowel over [start, stop) seconds: its ends at speech speed, its middle slow."""
    first, last = vowel
    edge = min(6, (last - first) // 3)
    quick = edge * FRAME_SECONDS
    if stop - start > 3 * quick and edge:
        marks += [(start, first), (start + quick, first + edge), (stop - quick, last - edge)]
    else:
        marks.append((start, first))
    marks.append((stop, last - 0.01))


def _word_marks(word, starts: list, stop: float, room: float) -> list:
    """(seconds, frame) marks that map the output's time to a word's frames.

    Vowel k begins at starts[k]; the consonants before it sound before the beat, as singers do,
    and have at most `room` seconds.
    """
    vowels = [i for i, (name, _, _) in enumerate(word.phones) if name in VOWELS]
    if not vowels:
        vowels = [len(word.phones) // 2]
    # More vowels than notes: the last note carries the rest of the word as it was spoken.
    vowels = vowels[: len(starts)]
    marks = []
    for order, index in enumerate(vowels):
        first = word.phones[index][1]
        begin = 0 if order == 0 else word.phones[vowels[order - 1]][2]
        lead = (first - begin) * FRAME_SECONDS
        if order:
            room = 0.6 * (starts[order] - starts[order - 1])
        lead = min(lead * 0.9, room)
        marks.append((starts[order] - lead, begin))
        last = word.phones[index][2]
        if order + 1 < len(vowels):
            gap = (word.phones[vowels[order + 1]][1] - last) * FRAME_SECONDS
            end = starts[order + 1] - min(gap * 0.9, 0.6 * (starts[order + 1] - starts[order]))
            _spread(marks, (first, last), starts[order], end)
        else:
            tail = word.phones[-1][2] - last
            close = min(tail * FRAME_SECONDS * 0.8, 0.5 * (stop - starts[order]))
            _spread(marks, (first, last), starts[order], stop - close)
            if tail:
                marks.append((stop, word.phones[-1][2] - 0.01))
    return marks


def _words(notes: list) -> list:
    """Groups timed syllables into words."""
    groups = []
    for note in notes:
        if note.syllable and groups and groups[-1][-1].word == note.word:
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def pitch_line(notes: list, frames: int, who: dict, rng) -> np.ndarray:
    """The sung line in semitones [frame]: glides, scoops after rests, vibrato, drift."""
    times = np.arange(frames) * FRAME_SECONDS
    line = np.full(frames, float(notes[0].pitch))
    tremble = np.zeros(frames)
    turn = 2 * np.pi * np.cumsum(who["vibrato_hz"] * (1 + 0.03 * rng.standard_normal(frames)))
    turn *= FRAME_SECONDS
    before = -1.0
    for note in notes:
        since = times - note.start
        line[since >= -0.03] = note.pitch
        if note.start - before > 0.15 and rng.random() < 0.7:
            depth = who["scoop_semitones"] * rng.uniform(0.4, 1.2)
            scoop = depth * np.exp(-np.maximum(since, 0) / rng.uniform(0.04, 0.12))
            line -= np.where((since >= -0.25) & (since < 0.5), scoop, 0)
        if note.length > 0.3:
            grow = np.clip((since - rng.uniform(0.1, 0.35)) / 0.3, 0, 1) * (since < note.length)
            tremble = np.maximum(tremble, grow * who["vibrato_semitones"] * rng.uniform(0.5, 1.4))
        if note.length > 0.5 and rng.random() < 0.12:
            line -= 2.5 * np.clip((since - note.length + 0.18) / 0.18, 0, 1) * (since < note.length)
        before = note.start + note.length
    width = max(1, int(who["glide_seconds"] / FRAME_SECONDS))
    kernel = np.hanning(width + 2)[1:-1]
    line = np.convolve(np.pad(line, width, "edge"), kernel / kernel.sum(), "same")[width:-width]
    slow = np.interp(times, np.arange(0, times[-1] + 1, 0.25),
                     rng.standard_normal(len(np.arange(0, times[-1] + 1, 0.25))))  # fmt: skip
    jitter = 0.02 + 0.25 * who["rasp"]
    line += who["drift"] * slow + tremble * np.sin(turn) + jitter * rng.standard_normal(frames)
    return line


def _throat(who: dict, hz: np.ndarray) -> tuple:
    """Where in the spoken envelope each output frequency reads, and what is added there [dB]."""
    low, middle, high = who["bends"]
    knots = np.array([0, 450, 1400, 2800, 4500, 12000, 30000], float)
    scale = who["warp"] * np.array([1, 1 + low, 1 + middle, 1 + high, 1, 1, 1])
    source = hz / np.interp(hz, knots, scale)
    mirror = np.abs(source - TOP_HZ) % (2 * 3000)
    mirror = np.minimum(mirror, 6000 - mirror)
    beyond = np.maximum(source - TOP_HZ, 0)
    source = np.where(beyond > 0, TOP_HZ - mirror, source)
    octaves = np.log2(np.maximum(hz, 1000) / 1000)
    gain_db = who["tilt_db"] * np.minimum(octaves, 2.5) - beyond / 1000 * 2.2
    gain_db += who["ring_db"] * np.exp(-(((hz - who["ring_hz"]) / 500) ** 2))
    return source, gain_db, beyond


def _read(table: np.ndarray, spots: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear reading of [frame, bin] at fractional frames and fractional bins."""
    row = np.floor(spots).astype(int)
    part = (spots - row)[:, None].astype(np.float32)
    after = np.minimum(row + 1, len(table) - 1)
    rows = table[row].astype(np.float32) * (1 - part) + table[after].astype(np.float32) * part
    left = np.minimum(columns.astype(int), table.shape[1] - 2)
    part = (columns - left).astype(np.float32)
    return rows[:, left] * (1 - part) + rows[:, left + 1] * part


def _phrase(notes: list, who: dict, style: str, rate: int, rng) -> tuple:
    """One breath of timed syllables -> (start in seconds, samples)."""
    voice = wordbank.load(who["voice"])
    begin = max(0.0, notes[0].start - 0.35)
    notes = [n._replace(start=n.start - begin) for n in notes]
    groups = _words(notes)
    frames = int((notes[-1].start + notes[-1].length + 0.25) / FRAME_SECONDS)
    times = np.arange(frames) * FRAME_SECONDS
    spots = np.full(frames, -1.0)
    level = np.zeros(frames)
    free = 0.0
    for index, group in enumerate(groups):
        word = voice.words[group[0].word]
        stop = group[-1].start + group[-1].length
        if index + 1 < len(groups):
            stop = min(stop, groups[index + 1][0].start)
        stop = max(stop, group[-1].start + 0.06)
        room = max(0.02, min(0.3, group[0].start - free))
        marks = _word_marks(word, [n.start for n in group], stop, room)
        seconds, places = np.array(marks).T
        seconds = np.maximum.accumulate(np.maximum(seconds, 0))
        span = (times >= seconds[0]) & (times < seconds[-1])
        spots[span] = word.start + np.interp(times[span], seconds, places)
        swell = 1 + 0.15 * np.sin(np.pi * np.clip((times[span] - seconds[0]) / 1.5, 0, 1))
        level[span] = group[0].velocity * swell
        free = max(group[-1].start, stop - 0.35 * (stop - group[-1].start))
    sung = spots >= 0
    spots = np.maximum(spots, 0)
    level = np.convolve(level, np.hanning(9)[1:-1] / np.hanning(9)[1:-1].sum(), "same")

    nearest = np.minimum(np.round(spots).astype(int), len(voice.pitch_hz) - 1)
    spoken = voice.pitch_hz[nearest]
    pitch = pitch_line(notes, frames, who, rng)
    if style == "rap":
        base = np.median(spoken[spoken > 0]) if (spoken > 0).any() else 120.0
        bend = 12 * np.log2(np.maximum(spoken, 50) / base)
        pitch = who["low"] + 4 + 0.35 * (pitch - pitch.mean()) + np.clip(1.3 * bend, -8, 8)
    pitch_hz = 440 * 2 ** ((pitch - 69) / 12)
    pitch_hz = np.where(spoken > 0, np.clip(pitch_hz, 60, 1000), 0.0)
    pitch_hz = np.where(sung, pitch_hz, 80.0)  # silent; few pulses cost little time

    size = pyworld.get_cheaptrick_fft_size(rate, 71.0)
    hz = np.arange(size // 2 + 1) * rate / size
    source, gain_db, beyond = _throat(who, hz)
    envelope = _read(voice.envelope, spots, np.clip(source / 8000 * (BINS - 1), 0, BINS - 1))
    envelope += (gain_db * np.log(10) / 10).astype(np.float32)
    envelope = np.exp(envelope) * (level[:, None] ** 2 + 1e-12)
    noise = _read(voice.noise, spots, np.clip(source / 8000 * (ROUGH - 1), 0, ROUGH - 1))
    rising = np.clip(hz / 6000, 0, 1)
    noise = np.clip(np.maximum(noise, who["breath"] * rising + 0.5 * (beyond > 0)), 0.001, 0.99)
    wave = pyworld.synthesize(
        np.ascontiguousarray(pitch_hz), np.ascontiguousarray(envelope, np.float64),
        np.ascontiguousarray(noise, np.float64), rate, FRAME_SECONDS * 1000,
    )  # fmt: skip
    return begin, wave.astype(np.float32)


def sing(layer: dict, notes: list, samples: int, rate: int, seed: int, name: str) -> np.ndarray:
    """Sings timed syllables (seconds) of a layer -> [time]."""
    out = np.zeros(samples, np.float32)
    phrases = []
    for note in notes:
        if phrases and note.start - phrases[-1][-1].start - phrases[-1][-1].length < GAP_SECONDS:
            phrases[-1].append(note)
        else:
            phrases.append([note])
    for index, notes_here in enumerate(phrases):
        rng = stream(seed, "sing", name, index)
        begin, wave = _phrase(notes_here, layer["singer"], layer["style"], rate, rng)
        start = int(begin * rate)
        stop = min(samples, start + len(wave))
        if stop > start:
            out[start:stop] += wave[: stop - start]
    return out
