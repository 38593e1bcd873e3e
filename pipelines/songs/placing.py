"""Effect chains of songs with recordings: lines, low keys, real and far voices, rooms."""

from .material import Stock
from .score import Part
from .treatment import amplifier, tone

VOICES = {"tuned": 2, "telephone": 1.5, "dull": 1.5, "vocoder": 1, "hiss": 3, "far": 3,
          "crushed": 1, "doubled": 1, "soft": 3}  # fmt: skip


def room(rng, stock: Stock, wet: tuple = (0.1, 0.4)) -> list:
    """A recorded room where there are any, in half of the cases; else a computed one."""
    rooms = [path for path in stock.files("web-audio-samples", "rooms")
             if not path.stem.startswith(("filter-", "comb-", "ambisonic"))]  # fmt: skip
    share = float(rng.uniform(*wet))
    if rooms and rng.random() < 0.5:
        return [("response", str(rooms[int(rng.integers(len(rooms)))]), share)]
    return [("reverb", float(rng.uniform(0.5, 1.0)), share)]


def line(rng, part: Part, stock: Stock) -> None:
    """A single line's chain: amplifier, or a microphone; echo and room as often as a voice has."""
    amp = part.instrument.get("amp")
    chain = amplifier(rng, amp) if amp else [("highpass", float(rng.uniform(40, 120)))]
    chain += tone(rng)
    if rng.random() < 0.4:
        chain.append(("compress", -20, float(rng.uniform(2, 5))))
    if rng.random() < 0.15:
        chain.append(("chorus", float(rng.uniform(0.3, 1.5)), 0.25, 0.4))
    if rng.random() < 0.4:
        chain.append(("delay", float(rng.uniform(0.12, 0.5)), float(rng.uniform(0.1, 0.45)),
                      float(rng.uniform(0.08, 0.3))))  # fmt: skip
    if rng.random() < 0.8:
        chain += room(rng, stock, (0.04, 0.3))
    part.effects = chain


def low(rng, part: Part) -> list:
    """The chain of a part that is meant to be low: nothing takes its fundamentals."""
    amp = part.instrument.get("amp")
    chain = amplifier(rng, amp) if amp else []
    chain = [effect for effect in chain if effect[0] != "highpass"]
    chain += [("highpass", 40), *tone(rng, 2.0)]
    if rng.random() < 0.4:
        chain.append(("lowpass", float(rng.uniform(1200, 5000))))
    return chain


def guest(rng, stock: Stock) -> list:
    """What is done to recorded voices, which have been treated before: little."""
    chain = [("highpass", float(rng.uniform(60, 130))), *tone(rng, 2.5)]
    if rng.random() < 0.4:
        chain.append(("compress", -22, float(rng.uniform(2, 4))))
    if rng.random() < 0.4:
        chain += room(rng, stock, (0.05, 0.25))
    return chain


def far(rng, stock: Stock) -> list:
    """Voices at the back: long rooms, little bass, often few highs."""
    chain = [("highpass", float(rng.uniform(100, 300))), *tone(rng, 2.0),
             ("compress", -24, float(rng.uniform(2, 5)))]  # fmt: skip
    if rng.random() < 0.4:
        chain.append(("lowpass", float(rng.uniform(2500, 7000))))
    if rng.random() < 0.3:
        chain.append(("chorus", 0.7, 0.25, 0.45))
    return chain + room(rng, stock, (0.25, 0.6))


def voice(rng, name: str, stock: Stock) -> list:
    """The effects of a treatment in VOICES, to be added to a voice's chain."""
    return {
        "tuned": lambda: [("compress", -24, 6.0)],
        "telephone": lambda: [("highpass", float(rng.uniform(350, 900))),
                              ("lowpass", float(rng.uniform(1800, 3800))), ("drive", 6.0)],
        "dull": lambda: [("lowpass", float(rng.uniform(900, 2500)))] * 2,
        "vocoder": lambda: [("vocoder", float(rng.uniform(40, 55)), float(rng.uniform(0.6, 1.0)))],
        "hiss": lambda: [("shelf", float(rng.uniform(4000, 6500)), float(rng.uniform(5, 12)))],
        "far": lambda: room(rng, stock, (0.3, 0.65)),
        "crushed": lambda: [("drive", float(rng.uniform(14, 28))), ("lowpass", 6000)],
        "doubled": lambda: [("chorus", float(rng.uniform(0.3, 1.0)), 0.35, 0.5)],
        "soft": lambda: [("lowpass", float(rng.uniform(5000, 9000)))],
    }[name]()  # fmt: skip
