"""From a plan to sound: plays every part, treats it, balances the four stems."""

import sys
from dataclasses import dataclass

import numpy as np

from xumx_jax.errors import UserError

from . import drumming, effects, formants, sampler, singing, styles, synth, takes, voices, wordbank
from .arrange import arrange
from .compose import Plan, compose
from .material import Stock
from .score import SOURCES, stream

RATE = sampler.RATE  # instruments are played at this rate and converted at the end
_warned = False


@dataclass
class Song:
    """Four stems [source, channel, time] in the order of SOURCES, and what they play."""

    stems: np.ndarray
    description: dict


def missing() -> list:
    """What the sampled engine needs and this machine lacks; empty when it can run."""
    out = [] if effects.pedalboard else ["pedalboard (pip)"]
    out += [] if sampler.tinysoundfont else ["tinysoundfont (pip --no-deps)"]
    out += [] if sampler.font_paths() else ["musescore-general-soundfont (apt)"]
    return out + wordbank.missing()


def choose(engine: str) -> str:
    """Resolves "auto": "sampled" where everything is there, else "plain" and one warning line."""
    global _warned
    if engine not in ("auto", "sampled", "plain"):
        raise UserError(f"engine {engine!r}: wanted auto, sampled or plain")
    if engine == "plain":
        return engine
    lacking = missing()
    if not lacking:
        return "sampled"
    if engine == "sampled":
        raise UserError(f"the sampled engine needs {', '.join(lacking)}")
    if not _warned:
        print(f"songs: plain synthesis, for want of {', '.join(lacking)}", file=sys.stderr)
        _warned = True
    return "plain"


def _resample(wave: np.ndarray, source: int, target: int) -> np.ndarray:
    """[channel, time] from one rate to another."""
    if source == target or not wave.size:
        return wave
    import soxr

    return soxr.resample(np.ascontiguousarray(wave.T), source, target).T


def _loudness(wave: np.ndarray, rate: int) -> float:
    """Root mean square of the 50 ms blocks that are within 30 dB of the loudest."""
    block = max(1, rate // 20)
    count = wave.shape[-1] // block
    if not count:
        return 0.0
    power = (wave[:, : count * block].reshape(2, count, block) ** 2).mean((0, 2))
    loud = power > power.max() * 1e-3
    return float(np.sqrt(power[loud].mean())) if power.max() > 1e-12 else 0.0


def _level(wave: np.ndarray, rate: int, level_db: float) -> np.ndarray:
    """Brings the loudness to -20 dB of full scale plus `level_db`; silence stays silence."""
    loudness = _loudness(wave, rate)
    return wave * (10 ** ((level_db - 20) / 20) / loudness) if loudness else wave


def _drums(plan: Plan, samples: int, sampled: bool) -> np.ndarray:
    rng = stream(plan.seed, "play", "drums")
    kit = plan.kit
    notes = plan.clock.timed(kit["notes"], rng, 0.003)
    groups = {
        "kick": [n for n in notes if n.pitch == 36],
        "snare": [n for n in notes if n.pitch in (37, 38, 39, 40)],
        "rest": [n for n in notes if n.pitch not in (36, 37, 38, 39, 40)],
    }
    out = np.zeros((2, samples), np.float32)
    for name, hits in groups.items():
        if not hits:
            continue
        wave = drumming.group(kit, name, hits, samples, sampled, rng)
        wave = effects.apply(wave, RATE, kit["effects"][name], sampled)
        # Kick and snare are set by their peaks; what else there is follows, some 7 dB lower.
        base = 0.0 if name != "rest" else -5.0
        peak = float(np.quantile(np.abs(wave).max(0), 0.9995)) or 1.0
        out += wave * (0.6 / peak * 10 ** ((base + kit["gain_db"][name]) / 20))
    out = drumming.with_loop(plan, out)
    out = effects.apply(out, RATE, kit["effects"]["bus"], sampled)
    # Records hold drums to some 14 dB above their loudness: a soft ceiling on the peaks.
    ceiling = kit["crest"] * _loudness(out, RATE)
    return ceiling * np.tanh(out / ceiling) if ceiling else out


def _part(plan: Plan, part, index: int, samples: int, sampled: bool, stock) -> np.ndarray:
    """One player, or the two takes of a doubled one, [2, time]."""
    out = np.zeros((2, samples), np.float32)
    rng = stream(plan.seed, "play", index)
    font = int(rng.choice(4, p=(0.35, 0.15, 0.25, 0.25)))
    programs = part.instrument.get("programs")
    program = programs[int(rng.integers(len(programs)))] if programs else None
    patch = "" if "line" in part.instrument else styles.plain_patch(part.instrument)
    wide = float(rng.uniform(0.6, 1.0))
    for take in range(2 if part.double else 1):
        notes = plan.clock.timed(part.notes, rng, 0.005 if part.source == "bass" else 0.008)
        notes = [n for n in notes if n.start < samples / RATE]
        if "line" in part.instrument:
            wave = voices.play(part.instrument, notes, samples, rng, stock, sampled)
        elif sampled and program:
            wave = sampler.play(font + take * int(wide > 0.8), *program, notes, samples,
                                float(rng.normal(0, 0.03)))  # fmt: skip
        else:
            wave = synth.play(patch, notes, samples, RATE, rng)
        if "amp" in part.instrument or part.source == "bass":
            wave = np.repeat(wave.mean(0, keepdims=True), 2, 0)  # an amplifier has one input
        wave = effects.apply(wave, RATE, part.effects, sampled)
        pan = part.pan if not part.double else wide * (1 if take else -1)
        out += effects.place(wave, pan)
    return _level(out, RATE, part.level_db)


def _take(take, samples: int, rate: int, sampled: bool) -> np.ndarray:
    """An excerpt of a recording, treated, at the loudness of a part."""
    wave = takes.play(take, samples, rate)
    wave = effects.apply(wave, rate, list(take.effects), sampled)
    return _level(wave, rate, take.gain_db)


def _vocals(plan: Plan, seconds: float, rate: int, sampled: bool) -> np.ndarray:
    samples = round(seconds * rate)
    out = np.zeros((2, samples), np.float32)
    engine = singing if sampled else formants
    lead_level = None
    for take in plan.takes:
        if take.source == "vocals":
            wave = _take(take, samples, rate, sampled)
            lead_level = _loudness(wave, rate) or lead_level
            out += wave
    for index, layer in enumerate(plan.singing):
        rng = stream(plan.seed, "voice", index)
        jitter = 0.012 if index == 0 else 0.022
        notes = plan.clock.timed(layer["notes"], rng, jitter)
        notes = [n for n in notes if n.start < seconds - 0.1]
        if not notes:
            continue
        wave = engine.sing(layer, notes, samples, rate, plan.seed, f"{index}")
        wave = effects.apply(np.stack([wave, wave]), rate, layer["effects"], sampled)
        loudness = _loudness(wave, rate)
        if not loudness:
            continue
        lead_level = lead_level or loudness
        gain = 10 ** (layer["gain_db"] / 20) * (lead_level / loudness)
        out += effects.place(wave, layer["pan"]) * gain
        if layer["role"] == "double":
            late = round(0.018 * rate)
            out[:, late:] += effects.place(wave, -layer["pan"])[:, :-late] * gain * 0.7
    return out


def _glue(stems: np.ndarray, rate: int) -> np.ndarray:
    """One gentle compressor over the mix, its gain given to all stems alike."""
    mix = stems.sum(0)
    loudness = _loudness(mix, rate)
    if not loudness:
        return stems
    block = max(1, rate // 100)
    count = mix.shape[-1] // block
    level = np.abs(mix[:, : count * block]).max(0).reshape(count, block).max(1) / loudness
    gain = np.minimum(1, (2.2 / np.maximum(level, 1e-6))) ** 0.5
    gain = np.convolve(np.pad(gain, 4, "edge"), np.ones(9) / 9, "valid")
    places = (np.arange(count) + 0.5) * block
    return stems * np.interp(np.arange(mix.shape[-1]), places, gain).astype(np.float32)


def render(
    seed: int,
    rate: int = 44100,
    seconds: float = 40.0,
    engine: str = "auto",
    full: bool = False,
    stock: Stock | None = None,
) -> Song:
    """Renders song `seed`: stems [source, channel, time] that sum to a mix without clipping.

    The same seed, engine, recordings and package versions give the same samples. `full` keeps all
    four sources playing throughout. With a `stock` of recordings songs are of the kinds in `kinds`.
    Raises ValueError for an unknown engine or missing packages.
    """
    engine = choose(engine)
    sampled = engine == "sampled"
    plan = compose(seed, seconds, full) if stock is None else arrange(seed, seconds, stock)
    samples = round(seconds * RATE)
    buses = {name: np.zeros((2, samples), np.float32) for name in SOURCES if name != "vocals"}
    buses["drums"] += _drums(plan, samples, sampled)
    for index, part in enumerate(plan.parts):
        buses[part.source] += _part(plan, part, index, samples, sampled, stock)
    for take in plan.takes:
        if take.source in buses:
            buses[take.source] += _take(take, samples, RATE, sampled)
    length = round(seconds * rate)
    stems = np.zeros((len(SOURCES), 2, length), np.float32)
    for index, name in enumerate(SOURCES):
        if name == "vocals":
            wave = _vocals(plan, seconds, rate, sampled)
        else:
            wave = _resample(buses[name], RATE, rate)[:, :length]
        stems[index, :, : wave.shape[-1]] = _level(wave, rate, plan.levels_db[name])
    if plan.master["glue"]:
        stems = _glue(stems, rate)
    peak = float(np.abs(stems.sum(0)).max())
    if peak:
        stems *= plan.master["peak"] / peak
    return Song(stems.astype(np.float32), {**plan.description(), "engine": engine, "rate": rate})
