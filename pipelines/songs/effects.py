"""Carries out effect chains, with `pedalboard` or, without it, with numpy alone.

("highpass", hz) ("lowpass", hz)            ("peak", hz, gain_db, q)  ("shelf", hz, gain_db)
("drive", gain_db)                          ("compress", threshold_db, ratio)
("reverb", size 0..1, wet 0..1)             ("gated", seconds, wet)
("delay", seconds, feedback, wet)           ("chorus", hz, depth, wet)  ("phaser", hz, wet)
("response", file of a recorded room, wet)  ("vocoder", lowest pitch, wet)
"""

from pathlib import Path

import numpy as np

from . import recordings

try:
    import pedalboard
except ImportError:  # the plain engine needs none
    pedalboard = None


def convolve(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """[channel, time] * [channel, tap] -> [channel, time], cut to the input's length."""
    length = wave.shape[-1]
    size = length + response.shape[-1]
    size = 1 << (size - 1).bit_length() if size < 1 << 17 else -(-size // 20000) * 20000
    spectrum = np.fft.rfft(wave, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[..., :length].astype(np.float32)


def room(rate: int, seconds: float, gated: bool) -> np.ndarray:
    """[2, tap]: decaying noise, duller with time; gated: level noise that stops at once."""
    rng = np.random.default_rng(int(seconds * 1000) + gated)
    length = int(rate * seconds)
    time = np.arange(length) / length
    noise = rng.standard_normal((2, length))
    noise[:, 1:] = 0.6 * noise[:, 1:] + 0.4 * noise[:, :-1]
    envelope = (1 - 0.4 * time) * np.minimum(1, 20 * (1 - time)) if gated else np.exp(-6.9 * time)
    noise *= envelope
    return (noise / np.sqrt((noise**2).sum(-1, keepdims=True))).astype(np.float32)


def _wet(wave, rate, seconds, gated, wet):
    tail = convolve(wave, room(rate, seconds, gated))
    return (1 - wet) * wave + wet * 1.4 * tail


def _respond(wave, rate, path, wet):
    """A recorded room, brought to the loudness of what sounds in it."""
    tail = convolve(wave, recordings.room(Path(path), rate))
    loud, quiet = np.sqrt((wave**2).mean()), np.sqrt((tail**2).mean())
    return (1 - wet) * wave + wet * tail * np.float32(min(10.0, loud / max(quiet, 1e-9)))


VOCODER_TAPS = 1024
VOCODER_BANDS = 24


def _vocode(wave, rate, pitch, wet):
    """A voice's loudness in 24 bands put onto a chord of sawtooths over MIDI `pitch`."""
    size, hop = VOCODER_TAPS, VOCODER_TAPS // 4
    length = wave.shape[-1]
    time = np.arange(length + size) / rate
    hertz = 440 * 2 ** ((pitch + np.array([0, 7, 12, 16, 19]) - 69) / 12)
    carrier = sum((time * hz) % 1.0 - 0.5 for hz in hertz)
    window = np.hanning(size + 1)[:-1]
    edges = np.unique(np.geomspace(3, size // 2, VOCODER_BANDS + 1).astype(int))
    out = np.zeros((len(wave), length + size))
    for channel, samples in enumerate(np.pad(wave, ((0, 0), (0, size)))):
        starts = range(0, length, hop)
        voice, tone = (np.fft.rfft([signal[s : s + size] * window for s in starts])
                       for signal in (samples, carrier))  # fmt: skip
        gain = np.zeros(tone.shape)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            heard, played = (np.sqrt((np.abs(x[:, low:high]) ** 2).mean(1)) for x in (voice, tone))
            gain[:, low:high] = (heard / np.maximum(played, 1e-6))[:, None]
        frames = np.fft.irfft(tone * gain, size) * window
        for start, frame in zip(starts, frames, strict=True):
            out[channel, start : start + size] += frame / 1.5
    return ((1 - wet) * wave + wet * out[:, :length]).astype(np.float32)


# What is computed here in both cases: effect -> function of (wave, rate, values...)
OWN = {
    "gated": lambda wave, rate, seconds, wet: _wet(wave, rate, seconds, True, wet),
    "response": _respond,
    "vocoder": _vocode,
}

# effect -> pedalboard plug-in
PEDALS = {
    "highpass": lambda hz: pedalboard.HighpassFilter(hz),
    "lowpass": lambda hz: pedalboard.LowpassFilter(hz),
    "peak": lambda hz, gain_db, q: pedalboard.PeakFilter(hz, gain_db, q),
    "shelf": lambda hz, gain_db: pedalboard.HighShelfFilter(hz, gain_db),
    "drive": lambda gain_db: pedalboard.Distortion(gain_db),
    "compress": lambda threshold_db, ratio: pedalboard.Compressor(threshold_db, ratio, 6.0, 120.0),
    "reverb": lambda size, wet: pedalboard.Reverb(size, 0.4, wet, 1 - wet, 1.0),
    "delay": lambda seconds, feedback, wet: pedalboard.Delay(seconds, feedback, wet),
    "chorus": lambda hz, depth, wet: pedalboard.Chorus(hz, depth, 7.0, 0.0, wet),
    "phaser": lambda hz, wet: pedalboard.Phaser(rate_hz=hz, mix=wet),
}


def _curve(chain: list, hz: np.ndarray) -> np.ndarray:
    """The gain of a run of equaliser bands at `hz`: magnitudes only, no phase."""
    gain = np.ones_like(hz)
    for name, *values in chain:
        ratio = hz / values[0]
        if name == "highpass":
            gain *= ratio / np.sqrt(1 + ratio**2)
        elif name == "lowpass":
            gain /= np.sqrt(1 + ratio**2)
        elif name == "shelf":
            gain *= 10 ** (values[1] / 20 * ratio**2 / (1 + ratio**2))
        else:
            octaves = np.log2(np.maximum(ratio, 1e-4))
            gain *= 10 ** (values[1] / 20 * np.exp(-((octaves * values[2] * 1.4) ** 2)))
    return gain


def _echo(wave, rate, seconds, feedback, wet):
    lag = max(1, int(rate * seconds))
    tail = np.zeros_like(wave)
    for index in range(1, 6):
        if index * lag < wave.shape[-1]:
            tail[:, index * lag :] += feedback ** (index - 1) * wave[:, : -index * lag]
    return wave * (1 - wet) + wet * tail


def _squeeze(wave, rate, threshold_db, ratio):
    """A compressor on 10 ms blocks, both channels moved together."""
    block = max(1, rate // 100)
    count = -(-wave.shape[-1] // block)
    padded = np.pad(np.abs(wave).max(0), (0, count * block - wave.shape[-1]))
    level = padded.reshape(count, block).max(-1)
    level = np.convolve(level, np.ones(5) / 5, "same") + 1e-6
    over = np.maximum(0, 20 * np.log10(level) - threshold_db)
    gain = 10 ** (-over * (1 - 1 / ratio) / 20)
    places = (np.arange(count) + 0.5) * block
    return wave * np.interp(np.arange(wave.shape[-1]), places, gain).astype(np.float32)


STEREO = {"reverb", "gated", "response"}
EQUALISERS = {"highpass", "lowpass", "peak", "shelf"}


def _plain(wave: np.ndarray, rate: int, chain: list) -> np.ndarray:
    """The numpy chain; chorus and phaser are left out."""
    run = []
    for effect in [*chain, ("end",)]:
        name, *values = effect
        if name in EQUALISERS:
            run.append(effect)
            continue
        if run:
            length = wave.shape[-1]
            gain = _curve(run, np.fft.rfftfreq(length, 1 / rate))
            wave = np.fft.irfft(np.fft.rfft(wave) * gain, length).astype(np.float32)
            run = []
        if name == "drive":
            wave = np.tanh(wave * 10 ** (values[0] / 20))
        elif name == "compress":
            wave = _squeeze(wave, rate, *values)
        elif name == "reverb":
            wave = _wet(wave, rate, 0.4 + 2.0 * values[0], False, values[1])
        elif name in OWN:
            wave = OWN[name](wave, rate, *values)
        elif name == "delay":
            wave = _echo(wave, rate, *values)
    return wave.astype(np.float32)


def apply(wave: np.ndarray, rate: int, chain: list, pedals: bool) -> np.ndarray:
    """[channel, time] -> [channel, time] through the chain; the input is first brought to 0.5 peak.

    Drives and compressors depend on the level, so a chain always meets the same one.
    """
    peak = float(np.abs(wave).max()) if wave.size else 0.0
    if peak < 1e-6:
        return wave
    wave = (wave * (0.5 / peak)).astype(np.float32)
    # What comes before the first room is the same in both channels of a mono source: done once.
    dry = next((i for i, (name, *_) in enumerate(chain) if name in STEREO), len(chain))
    if dry and np.array_equal(wave[0], wave[-1]):
        single = _run(wave[:1], rate, chain[:dry], pedals)
        wave, chain = np.repeat(single, len(wave), 0), chain[dry:]
    return _run(wave, rate, chain, pedals)


def _run(wave: np.ndarray, rate: int, chain: list, pedals: bool) -> np.ndarray:
    """A chain by pedals or by numpy, every channel for itself but for the rooms."""
    if not pedals:
        return _plain(wave, rate, chain)
    run = []
    for name, *values in [*chain, ("end",)]:
        if name in PEDALS:
            limit = 0.45 * rate
            if name in EQUALISERS:
                values[0] = min(values[0], limit)
            run.append(PEDALS[name](*values))
            continue
        if run:
            wave = pedalboard.Pedalboard(run)(wave, rate)
            run = []
        if name in OWN:
            wave = OWN[name](wave, rate, *values)
    return wave


def place(wave: np.ndarray, pan: float) -> np.ndarray:
    """Balances [2, time] to the left (-1) or right (+1) at constant power."""
    angle = (np.clip(pan, -1, 1) + 1) * np.pi / 4
    middle = wave.mean(0, keepdims=True)
    narrow = wave + abs(pan) * (middle - wave)
    return narrow * np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
