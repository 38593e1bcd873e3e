"""Effect chains as data: lists of (effect, values...) that `effects.apply` carries out.

What each effect's values mean is written in `effects.py`. The chains here are what a mixing
engineer would reach for: amplifier and cabinet, equaliser, compressor, room, echo.
"""

from .score import Part, pick

CABINET = (("highpass", 80), ("peak", 120, 2.0, 0.8), ("peak", 2600, 4.0, 0.8),
           ("lowpass", 4800), ("lowpass", 6000))  # fmt: skip


def _room(rng, amount: float) -> list:
    """Sometimes a reverb, wetter with `amount`."""
    if rng.random() > 0.75:
        return []
    return [("reverb", float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.04, 0.22) * amount))]


def tone(rng, spread_db: float = 3.0) -> list:
    """Two gentle bells anywhere between 150 Hz and 8 kHz."""
    return [("peak", float(150 * 53 ** rng.random()), float(rng.normal(0, spread_db)), 0.8)
            for _ in range(2)]  # fmt: skip


def amplifier(rng, kind: str) -> list:
    """The chain of an amplifier; what is none of the names below is a clean one."""
    if kind in ("high", "lead"):
        drive = rng.uniform(24, 42) if kind == "high" else rng.uniform(20, 36)
        chain = [("highpass", float(rng.uniform(90, 220))), ("compress", -24, 3.0),
                 ("peak", float(rng.uniform(700, 1400)), float(rng.uniform(0, 6)), 0.7),
                 ("drive", float(drive)), *CABINET]  # fmt: skip
        if rng.random() < 0.7:
            chain.append(("peak", float(rng.uniform(450, 900)), float(rng.uniform(-6, 1)), 0.8))
        return chain
    if kind == "crunch":
        return [("highpass", 100), ("drive", float(rng.uniform(12, 24))), *CABINET]
    if kind == "cab":
        return [("drive", float(rng.uniform(4, 14))), *CABINET]
    if kind == "wah":
        sweep = float(rng.uniform(500, 1600))
        return [("highpass", 150), ("peak", sweep, 14.0, 3.0), ("drive", 6.0), ("lowpass", 5000)]
    if kind == "bass":
        return [("compress", -22, 4.0), ("drive", float(rng.uniform(0, 8))),
                ("lowpass", float(rng.uniform(2200, 6500)))]  # fmt: skip
    if kind == "bassdrive":
        return [("compress", -24, 4.0), ("drive", float(rng.uniform(12, 26))),
                ("peak", 800, float(rng.uniform(-3, 5)), 0.8), ("lowpass", 4500),
                ("peak", 90, 5.0, 0.8)]  # fmt: skip
    if kind == "bright":  # a drive that no cabinet dulls, or a small one
        chain = [("highpass", 110), ("drive", float(rng.uniform(8, 34))),
                 ("lowpass", float(rng.uniform(7500, 12000)))]  # fmt: skip
        return [*chain, ("shelf", 3500, float(rng.uniform(0, 6)))]
    if kind == "open":  # a microphone before the strings
        return [
            ("highpass", 70),
            ("shelf", float(rng.uniform(3000, 6000)), float(rng.uniform(0, 9))),
        ]
    chain = [("highpass", 80), ("compress", -20, 3.0), ("lowpass", float(rng.uniform(4500, 9000)))]
    if rng.random() < 0.45:
        chain.append(("chorus", float(rng.uniform(0.4, 1.8)), float(rng.uniform(0.1, 0.35)), 0.4))
    return chain


def player(rng, part: Part) -> None:
    """Gives a player its chain of effects."""
    amp = part.instrument.get("amp")
    chain = amplifier(rng, amp) if amp else []
    if part.source == "bass":
        chain += [("highpass", 30), *tone(rng, 2.0)]
        if not amp:
            chain += [("lowpass", float(rng.uniform(1200, 7000)))]
        if rng.random() < 0.12:
            chain.append(("chorus", 0.6, 0.2, 0.3))
        part.effects = [*chain, ("compress", -18, 3.0)]
        return
    if amp not in ("high", "crunch", "cab"):
        chain.append(("highpass", float(rng.uniform(80, 250))))
    if part.role in ("chords", "strum", "picked", "stabs") and rng.random() < 0.6:
        chain.append(("compress", -20, float(rng.uniform(2, 4))))
    if part.role in ("pad", "arpeggio", "keys80", "synthlead", "organ") and rng.random() < 0.3:
        chain.append(("chorus", float(rng.uniform(0.2, 1.5)), 0.25, 0.5))
    if part.role in ("picked", "clav", "pad", "scratch") and rng.random() < 0.12:
        chain.append(("phaser", float(rng.uniform(0.2, 1.2)), 0.5))
    chain += tone(rng)
    if part.role in ("lead", "synthlead", "arpeggio", "picked") and rng.random() < 0.5:
        chain.append(("delay", float(rng.uniform(0.12, 0.45)), float(rng.uniform(0.1, 0.45)),
                      float(rng.uniform(0.08, 0.25))))  # fmt: skip
    wet = {"pad": 1.5, "strings": 1.6, "lead": 1.4, "stabs": 1.2}.get(part.role, 0.8)
    part.effects = [*chain, *_room(rng, wet)]


def kit(rng, kits: tuple, synthetic: float) -> dict:
    """A drum set: which samples for kick, snare and the rest, tuning, and how each is treated."""
    machine = bool(rng.random() < 0.12 + 0.6 * synthetic)
    main = int(pick(rng, kits))
    own = {name: int(pick(rng, kits)) if rng.random() < 0.5 else main for name in ("kick", "snare")}
    big = bool(rng.random() < 0.45)  # the gated snare of the eighties, or a large room
    kick = [("peak", float(rng.uniform(50, 85)), float(rng.uniform(0, 6)), 1.0),
            ("peak", 350, float(rng.uniform(-7, 0)), 0.9),
            ("peak", float(rng.uniform(2500, 4500)), float(rng.uniform(0, 8)), 0.9),
            ("compress", -16, float(rng.uniform(2, 5)))]  # fmt: skip
    snare = [("highpass", 90), ("peak", 200, float(rng.uniform(-2, 5)), 0.9),
             ("peak", float(rng.uniform(3000, 6500)), float(rng.uniform(0, 6)), 0.7),
             ("compress", -18, float(rng.uniform(2, 5)))]  # fmt: skip
    if big:
        gate = ("gated", float(rng.uniform(0.15, 0.45)), float(rng.uniform(0.15, 0.5)))
        snare.append(gate if rng.random() < 0.6 else ("reverb", 0.8, float(rng.uniform(0.1, 0.3))))
    else:
        snare += _room(rng, 0.7)
    rest = [("highpass", 60), *tone(rng, 2.0), *_room(rng, 0.7)]
    bus = [("compress", -14, float(rng.uniform(1.5, 4)))] if rng.random() < 0.7 else []
    if rng.random() < 0.25:
        bus.append(("reverb", float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.03, 0.12))))
    return {
        "machine": machine,
        "programs": {"kick": own["kick"], "snare": own["snare"], "rest": main},
        "machine_only": {name for name in ("kick", "snare", "rest")
                         if machine and (synthetic > 0.5 or rng.random() < 0.5)},
        "tuning": {"kick": float(rng.normal(0, 1.5)), "snare": float(rng.normal(0, 1.5)),
                   "rest": float(rng.normal(0, 0.8))},
        "gain_db": {"kick": float(rng.normal(1, 1.5)), "snare": float(rng.normal(0.5, 1.5)),
                    "rest": float(rng.normal(-2, 2))},
        "crest": float(rng.uniform(3.2, 6.0)),
        "font": int(rng.integers(1 << 20)),
        "effects": {"kick": kick, "snare": snare, "rest": rest, "bus": bus},
    }  # fmt: skip


def vocals(rng, tempo: float) -> list:
    """The chain every voice of the song goes through."""
    chain = [("highpass", float(rng.uniform(80, 150))), *tone(rng, 2.0),
             ("peak", float(rng.uniform(2500, 5000)), float(rng.uniform(0, 4)), 0.7),
             ("shelf", float(rng.uniform(6000, 9000)), float(rng.uniform(-2, 6))),
             ("compress", -22, float(rng.uniform(2.5, 6)))]  # fmt: skip
    if rng.random() < 0.25:
        chain.append(("drive", float(rng.uniform(3, 14))))
    if rng.random() < 0.12:
        chain.append(("chorus", 0.8, 0.2, 0.35))
    if rng.random() < 0.06:
        chain += [("highpass", 400), ("lowpass", 3500)]  # a telephone
    if rng.random() < 0.5:
        beat = 60 / tempo
        chain.append(("delay", float(beat * pick(rng, (0.5, 0.75, 1.0, 0.25))),
                      float(rng.uniform(0.1, 0.4)), float(rng.uniform(0.05, 0.2))))  # fmt: skip
    if rng.random() < 0.85:
        chain.append(("reverb", float(rng.uniform(0.2, 0.95)), float(rng.uniform(0.04, 0.25))))
    return chain
