"""Tables of players for songs with recordings: lines, basses, guitars, drums, rooms."""

from . import styles
from .material import Stock
from .score import pick

GUITAR_AMPS = {"clean": 3, "crunch": 2, "lead": 3, "high": 1.5, "bright": 1.5, "wah": 0.7, "": 1}
# name: weight, what sounds it, manner, lowest and highest pitch, amplifiers by weight
LINES = {
    "emily": (6, ("recorded", "emilyguitar", "notes"), "plucked", 45, 84, GUITAR_AMPS),
    "archtop": (2, ("recorded", "shinyguitar", "electric"), "plucked", 45, 82, GUITAR_AMPS),
    "archtop mic": (1.5, ("recorded", "shinyguitar", "acoustic"), "plucked", 45, 82, {"": 1}),
    "hofner": (2.5, ("recorded", "blackgreen", "black"), "plucked", 45, 84, GUITAR_AMPS),
    "gretsch": (2.5, ("recorded", "blackgreen", "green"), "plucked", 45, 84, GUITAR_AMPS),
    "sax": (3.5, ("recorded", "weresax", "dynamic"), "blown", 50, 79, {"": 1}),
    "sax far": (3.5, ("recorded", "weresax", "condenser"), "blown", 50, 79, {"": 1}),
    "arco": (1.5, ("recorded", "meatbass", "arco"), "bowed", 43, 67, {"": 1}),
    "glide saw": (2.5, ("synth", "saw_lead"), "glide", 55, 86, {"": 1}),
    "glide square": (2.5, ("synth", "square_lead"), "glide", 55, 86, {"": 1}),
    "glide sine": (1.5, ("synth", "flute_lead"), "glide", 58, 88, {"": 1}),
    "glide organ": (0.7, ("synth", "organ"), "glide", 52, 79, {"": 1}),
    "trumpet": (1, ("font", 0, 0, 56), "blown", 55, 82, {"": 1}),
    "trombone": (0.7, ("font", 0, 0, 57), "blown", 43, 69, {"": 1}),
    "tenor sax": (1, ("font", 1, 0, 66), "blown", 46, 74, {"": 1}),
    "violin": (1.2, ("font", 0, 0, 40), "bowed", 58, 88, {"": 1}),
    "cello": (0.8, ("font", 0, 0, 42), "bowed", 43, 69, {"": 1}),
    "flute": (1, ("font", 1, 0, 73), "blown", 62, 90, {"": 1}),
    "clarinet": (0.8, ("font", 0, 0, 71), "blown", 52, 82, {"": 1}),
    "harmonica": (0.8, ("font", 1, 0, 22), "blown", 58, 84, {"": 2, "crunch": 1}),
    "strat": (1.2, ("font", 0, 0, 27), "plucked", 45, 82, GUITAR_AMPS),
    "nylon": (0.8, ("font", 1, 0, 24), "plucked", 45, 79, {"": 1}),
}
ARPEGGIOS = {  # single notes of a chord, one after the other
    "saw": (3, ("synth", "saw_pluck"), "struck", 50, 84, {"": 1}),
    "square": (3, ("synth", "square_pluck"), "struck", 50, 84, {"": 1}),
    "saw held": (2, ("synth", "saw_lead"), "glide", 48, 79, {"": 1}),
    "emily": (2, ("recorded", "emilyguitar", "notes"), "struck", 42, 79, {"clean": 3, "crunch": 1}),
    "piano": (1, ("font", 0, 0, 0), "struck", 45, 84, {"": 1}),
    "fm": (1, ("font", 0, 0, 5), "struck", 48, 84, {"": 1}),
}
NOISES = {"emilyguitar": ("emilyguitar", "noises"), "growlybass": ("growlybass", "noises")}
# name: weight, what sounds it, manner, amplifiers
BASSES = {
    "jazz bass": (5, ("recorded", "growlybass", "notes"), "bass", {"bass": 3, "bassdrive": 2}),
    "short bass": (0.7, ("recorded", "growlybass", "staccato"), "struck", {"bass": 1}),
    "roundwound": (2, ("recorded", "pastabass", "spaghetti"), "bass", {"bass": 2, "bassdrive": 1}),
    "flatwound": (2, ("recorded", "pastabass", "linguine"), "bass", {"bass": 1}),
    "muted": (1.5, ("recorded", "pastabass", "tagliatelle"), "bass", {"bass": 1}),
    "fingers": (2.5, ("recorded", "pastabass", "fetuccine"), "bass", {"bass": 1}),
    "double bass": (2.5, ("recorded", "meatbass", "pizz"), "bass", {"": 2, "bass": 1}),
    "bowed bass": (0.7, ("recorded", "meatbass", "arco"), "bowed", {"": 1}),
}
SUBS = {
    "sub": (4, ("synth", "sub"), "sub", {"": 1}),
    "808": (5, ("synth", "boom"), "sub", {"": 1}),
    "reese": (2, ("synth", "reese"), "glide", {"": 1}),
    "saw": (1, ("synth", "saw_bass"), "sub", {"": 1}),
    "square": (1, ("synth", "square_bass"), "sub", {"": 1}),
}
CHORD_GUITARS = {name: LINES[name] for name in
                 ("emily", "archtop", "archtop mic", "hofner", "gretsch")}  # fmt: skip
GUITAR_ROLES = ("power", "chug", "riff", "lead", "strum", "picked", "scratch", "skank")
LINE_ROLES = ("riff", "lead", "synthlead", "fiddle", "reeds")


def cast(rng, table: dict, stock: Stock) -> dict | None:
    """An instrument drawn from a table, of those whose recordings are there; None if none is."""
    there = {
        name: row[0] for name, row in table.items()
        if row[1][0] != "recorded" or stock.notes(*row[1][1:])
    }  # fmt: skip
    if not there:
        return None
    name = pick(rng, there)
    _, sounds, manner, *span, amps = table[name]
    instrument = {"name": name, "line": sounds, "manner": manner}
    amp = pick(rng, amps)
    if amp:
        instrument["amp"] = amp
    if span:
        instrument |= {"low": span[0], "high": span[1]}
    if sounds[0] == "recorded" and sounds[1] in NOISES and rng.random() < 0.6:
        instrument["noises"] = NOISES[sounds[1]]
    return instrument


# What a stroke's file name says it is, in Sonic Pi's samples and in the folders of kits.
STROKES = {
    36: ("bd_", "drum_bass_", "drum_heavy_kick", "elec_soft_kick", "elec_hollow_kick", "kick"),
    38: ("sn_", "drum_snare_", "elec_snare", "elec_hi_snare", "elec_lo_snare", "elec_mid_snare",
         "snare"),
    42: ("drum_cymbal_closed", "elec_tick", "hihat"),
    46: ("drum_cymbal_open",),
    44: ("drum_cymbal_pedal",),
    49: ("drum_cymbal_hard", "drum_splash_", "elec_cymbal"),
    51: ("drum_cymbal_soft",),
    48: ("drum_tom_hi", "tom1"),
    45: ("drum_tom_mid", "tom2"),
    41: ("drum_tom_lo", "tom3"),
    56: ("drum_cowbell",),
}  # fmt: skip
# Other keys that a stroke serves for.
SERVES = {36: (35,), 38: (40,), 49: (57, 52), 51: (53,), 48: (50,), 45: (47,), 41: (43,)}


def strokes(rng, stock: Stock) -> dict:
    """{drum key: file}: a folder's kit, or strokes of any kind thrown together."""
    kits = {}
    for path in stock.files("web-audio-samples", "kits"):
        kits.setdefault(path.parent.name, []).append(path)
    loose = stock.files("sonic-pi", "strokes")
    mixed = not kits or (loose and rng.random() < 0.55)
    found = loose if mixed else kits[pick(rng, sorted(kits))]
    out = {}
    for key, starts in STROKES.items():
        fitting = [path for path in found if path.stem.startswith(starts)]
        if fitting and (not mixed or rng.random() < 0.85):
            path = fitting[int(rng.integers(len(fitting)))]
            out |= {k: path for k in (key, *SERVES.get(key, ()))}
    return out


# Loops that are drums alone, and their length in beats. The others of the shelf have notes in them.
LOOPS = {"loop_amen": 4, "loop_amen_full": 16, "loop_breakbeat": 4, "loop_compus": 8,
         "loop_electric": 4, "loop_industrial": 2, "loop_mehackit1": 4, "loop_mehackit2": 4,
         "loop_perc1": 4, "loop_perc2": 4, "loop_tabla": 16}  # fmt: skip

LOW_KEYS = {"piano": 5, "epiano": 2, "bright": 1, "organ": 1, "clean": 2, "fmpiano": 1}


def low_key(rng, stock: Stock) -> dict:
    """A piano, organ or clean guitar to be played low, recorded if that is there."""
    name = pick(rng, LOW_KEYS)
    guitar = cast(rng, CHORD_GUITARS, stock) if name == "clean" else None
    if guitar:
        return {**guitar, "manner": "struck", "amp": pick(rng, ("clean", "clean", "crunch"))}
    return {"name": name, **styles.INSTRUMENTS[name]}
