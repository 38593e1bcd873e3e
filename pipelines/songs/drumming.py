"""The sounds of a drum set: soundfonts, a machine, recorded strokes, a kick that rings, loops."""

import numpy as np

from . import gliding, lines, recordings, sampler, synth, takes

RATE = sampler.RATE


def group(kit: dict, name: str, hits: list, samples: int, sampled: bool, rng) -> np.ndarray:
    """The hits of "kick", "snare" or "rest" -> [2, time], before their effects."""
    strokes = kit.get("strokes", {})
    recorded = [n for n in hits if int(n.pitch) in strokes]
    hits = [n for n in hits if int(n.pitch) not in strokes]
    out = np.zeros((2, samples), np.float32)
    if name == "kick" and kit.get("boom"):
        out += _booms(kit["boom"], hits + recorded, samples)
        return out
    if recorded:
        out += _recorded(strokes, recorded, samples, kit["tuning"][name])
    if not hits:
        return out
    if sampled and name not in kit["machine_only"]:
        wave = sampler.play(kit["font"], 128, kit["programs"][name], hits, samples,
                            kit["tuning"][name])  # fmt: skip
    else:
        wave = synth.drum_machine(hits, samples, RATE, rng, kit["tuning"][name])
    if recorded:  # of like loudness, whatever played them
        peak = float(np.abs(wave).max())
        wave = wave * np.float32(0.7 / peak) if peak else wave
    return out + wave


def _recorded(strokes: dict, hits: list, samples: int, tuning: float) -> np.ndarray:
    """Each hit its file, quieter ones duller, off the middle but for kick and snare."""
    out = np.zeros((2, samples), np.float32)
    for hit in hits:
        key = int(hit.pitch)
        wave, rate = recordings.note(strokes[key])
        curve = np.full(round(2.5 / lines.FRAME_SECONDS), tuning)
        whole = lines.Gesture(hit.start, curve, hit.velocity)
        stroke = recordings.follow(wave, rate, 0.0, whole, RATE, 0.02)
        if hit.velocity < 0.5:
            stroke = 0.5 * (stroke + np.concatenate(([0.0], stroke[:-1])))
        side = 0.0 if key in (35, 36, 38, 40) else ((key * 37) % 21 - 10) / 25
        gains = np.array([[1 - side], [1 + side]]) * hit.velocity**1.5
        recordings.add(out, (gains * stroke).astype(np.float32), round(hit.start * RATE))
    return out


def _booms(boom: dict, hits: list, samples: int) -> np.ndarray:
    """A kick whose tone rings on, each stopped by the next."""
    out = np.zeros(samples, np.float32)
    hits = sorted(hits)
    for hit, after in zip(hits, [*hits[1:], None], strict=True):
        room = (
            3 * boom["decay"] if after is None else min(3 * boom["decay"], after.start - hit.start)
        )
        curve = np.full(max(2, round(room / lines.FRAME_SECONDS)), boom["pitch"])
        gesture = lines.Gesture(hit.start, curve, hit.velocity)
        wave = gliding.sound("boom", gesture, RATE, boom, boom["ring"])
        recordings.add(out, wave, round(hit.start * RATE))
    return np.stack([out, out])


def with_loop(plan, drums: np.ndarray) -> np.ndarray:
    """The drums with the plan's loop, if it has one: under them, or alone."""
    loop = plan.kit.get("loop")
    if not loop:
        return drums
    wave = takes.loop(loop["path"], loop["beats"], plan, drums.shape[-1], RATE, loop["order"])
    peak = float(np.quantile(np.abs(wave).max(0), 0.9995))
    if not peak:
        return drums
    wave *= np.float32(0.6 / peak * 10 ** (loop["gain_db"] / 20))
    return wave if loop["alone"] else wave + np.float32(0.6) * drums
