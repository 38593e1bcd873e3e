r"""Say what goes where: which stem gets a guitar, a saxophone, a sub-bass, a stack of voices.

    make where MATERIAL=FOLDER                      MODEL=runs/demo/best
    python bench/where.py --material FOLDER --songs songs/recorded --model demo hand-set
    python bench/where.py --material FOLDER --picture docs/images/what-goes-where.png --pictured \
        "drum machine and break kit" "electric guitar, through tanh"

Short mixtures are made for each kind of part, of recordings that training never sees and of sounds
that numpy makes. In the bins that belong to the part, the table says how many percent of the
energy each estimate gets; `kept` is how much of the part is in all of them together. The second
table is for music without a voice: how loud the vocals are beneath the mixture. MATERIAL is the
folder of recordings of pipelines/songs/README.md; rows whose recordings are missing say so. Prints
Markdown, the bounds that are missed, and a line of JSON.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from where_cases import CASES, INSTRUMENTAL, Case, mixtures  # noqa: E402
from where_measure import NoBins, level_db, shares  # noqa: E402
from where_picture import draw, typical  # noqa: E402
from where_recorded import Material, NoMaterial  # noqa: E402
from where_sounds import RATE  # noqa: E402

import xumx_jax  # noqa: E402
from pipelines.tracks.folders import track_folders  # noqa: E402
from pipelines.tracks.names import ORDER as SOURCES  # noqa: E402
from xumx_jax import audio, files  # noqa: E402
from xumx_jax.commands.console import run_program  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402

QUIET_DB = -20.0  # of the vocals beneath music without a voice: at most
LEFT_OUT = "vocals"
Separate = Callable[[np.ndarray], np.ndarray]


def separator(name: str) -> Separate:
    """Open a model, by name or path, or a baseline -> [channel, time] to [source, channel, time].

    Raises UserError for an unknown one, and for a model with other sources.
    """
    from xumx_jax.evaluation.oracles import RULES

    if name in RULES:
        from xumx_jax.evaluation.oracles import ORACLES

        def by_rules(mix: np.ndarray) -> np.ndarray:
            unknown = np.broadcast_to(0.0, (len(SOURCES), *mix.shape))
            return ORACLES[name](mix, unknown, RATE, SOURCES)

        return by_rules
    model = xumx_jax.load(name)
    if missing := [source for source in SOURCES if source not in model.sources]:
        raise UserError(
            f"{name}: separates {', '.join(model.sources)}; wanted {missing[0]} as well"
        )

    def by_model(mix: np.ndarray) -> np.ndarray:
        stems = model(mix, RATE)
        return np.stack([stems[source] for source in SOURCES])

    return by_model


def measure(case: Case, separate: Separate, made) -> dict:
    """The shares of a row: means over its mixtures, and those of each.

    Mixtures in which no bin is the part's are left out; raises NoMaterial if that is all of them.
    """
    found = []
    for one in made:
        with suppress(NoBins):
            found.append(shares(one.part, one.rest, separate(one.mix), RATE, case.band_hz))
    if not found:
        raise NoMaterial(f"the part is louder than the rest in none of {len(made)} mixtures")
    each = np.array([percent for percent, _ in found])
    mean = dict(zip(SOURCES, each.mean(0).tolist(), strict=True))
    row = {"source": case.source, "index": SOURCES.index(case.source)}
    row |= {"percent": mean, "each": each.tolist()}
    row["kept"] = float(np.mean([kept for _, kept in found]))
    if case.bound:
        row["bound"], row["met"] = list(case.bound), is_met(case.bound, mean)
    return row


def is_met(bound: tuple[str, str, float], percent: dict[str, float]) -> bool:
    """Whether a row keeps its bound: (source, "most" or "least", percent)."""
    source, kind, limit = bound
    return percent[source] <= limit if kind == "most" else percent[source] >= limit


def phantom(separate: Separate, mixes) -> dict:
    """How loud the vocals of mixtures without a voice are: median and most over them, in dB."""
    index = SOURCES.index(LEFT_OUT)
    each = [level_db(separate(mix)[index], mix) for mix in mixes]
    row = {"median_db": statistics.median(each), "most_db": max(each), "each": each}
    return row | {"bound": QUIET_DB, "met": max(each) < QUIET_DB}


def voiceless(folder: Path, length: float):
    """Excerpts from the middle of all songs in a folder of stems, without their vocals."""
    places = track_folders(folder)
    if not places:
        raise UserError(f"{folder}: wanted folders of songs with drums, bass and other in them")
    for place in places:
        stems = []
        for source in SOURCES:
            if source != LEFT_OUT:
                wave, rate = audio.decode(place / f"{source}.wav")
                stems.append(audio.resample(wave, rate, RATE))
        mix = np.sum(stems, 0)
        first = max(0, mix.shape[1] - round(length * RATE)) // 2
        mix = mix[:, first : first + round(length * RATE)]
        if mix.any():
            yield mix


def run(name: str, material: Material, options) -> dict:
    """All rows of one model, or those that are asked for."""
    separate = separator(name)
    rows, silent, unmeasured = {}, {}, {}

    def is_wanted(title: str) -> bool:
        return not options.rows or title in options.rows

    for case in (case for case in CASES if is_wanted(case.name)):
        try:
            rows[case.name] = measure(case, separate, made_of(case, material, options))
        except NoMaterial as error:
            unmeasured[case.name] = str(error)
    for title in filter(is_wanted, INSTRUMENTAL):
        common = (material, options.mixtures, options.seconds, options.seed)
        made = mixtures(title, INSTRUMENTAL[title], *common)
        try:
            silent[title] = phantom(separate, (one.mix for one in made))
        except NoMaterial as error:
            unmeasured[title] = str(error)
    if options.songs:
        made = voiceless(options.songs, options.seconds)
        silent["generated songs without vocals"] = phantom(separate, made)
    every = rows | silent
    missed = [title for title, row in every.items() if row.get("met") is False]
    bounds = sum("bound" in row for row in every.values())
    return {"model": name, "rows": rows, "phantom": silent, "bounds": bounds, "missed": missed,
            "unmeasured": unmeasured}  # fmt: skip


def picture(result: dict, material: Material, options) -> bytes:
    """Draw a typical success and a typical failure of a model, by its own table, and name them."""
    separate = separator(result["model"])
    columns = {}
    for kind, (title, number) in typical(result["rows"], options.pictured).items():
        print(f"{options.picture}: {kind} is {title}, mixture {number + 1}")
        (case,) = (case for case in CASES if case.name == title)
        one = made_of(case, material, options)[number]
        stems = dict(zip(SOURCES, separate(one.mix), strict=True))
        columns[kind] = {"mixture": one.mix, "the part": one.part, **stems}
    return draw(columns)


def made_of(case: Case, material: Material, options) -> list:
    """The mixtures of a row."""
    common = (options.mixtures, options.seconds, options.seed)
    return list(mixtures(case.name, case.part, material, *common, case.beds, case.gain_db))


def stated(bound) -> str:
    """A bound as the table has it: "v at most 30"."""
    source, kind, limit = bound
    return f"{source[0]} at {kind} {limit:g}"


def table(result: dict) -> str:
    """Both tables of a model, and what is missed or could not be measured."""
    lines = [
        "| part | belongs in | v | d | b | o | kept | bound |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for title, row in result["rows"].items():
        cells = [f"{row['percent'][source]:.0f}" for source in SOURCES]
        for number, source in enumerate(SOURCES):
            if source == row["source"]:
                cells[number] = f"**{cells[number]}**"
        cells += [
            f"{row['kept']:.0f}",
            _verdict(row, stated(row["bound"]) if "bound" in row else ""),
        ]
        lines.append(f"| {title} | {row['source']} | {' | '.join(cells)} |")
    if result["phantom"]:
        lines += ["", "| music without a voice | vocals, median dB | loudest | bound |"]
        lines.append("|---|--:|--:|---|")
    for title, row in result["phantom"].items():
        bound = _verdict(row, f"below {QUIET_DB:g}")
        lines.append(f"| {title} | {row['median_db']:.1f} | {row['most_db']:.1f} | {bound} |")
    missed = result["missed"]
    lines += [
        "",
        f"{len(missed)} of {result['bounds']} bounds missed: {', '.join(missed) or 'none'}",
    ]
    for title, why in result["unmeasured"].items():
        lines.append(f"not measured: {title} ({why})")
    return "\n".join(lines)


def _verdict(row: dict, bound: str) -> str:
    return bound if row.get("met", True) else f"{bound}: **missed**"


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", nargs="+", default=["demo"], help="names, paths, or hand-set (default: demo)")
    add("--material", type=Path, help="folder of recordings; see pipelines/songs/README.md")
    add("--songs", type=Path, help="folder of generated songs, whose voices are left out")
    add("--rows", nargs="+", metavar="ROW", help="only these, by their names (default: all)")
    add("--mixtures", type=int, default=4, help="of each row (default: %(default)s)")
    add("--seconds", type=float, default=8.0, help="of each mixture (default: %(default)s)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--out", type=Path, metavar="FILE", help="also write tables and JSON to FILE.md, FILE.json")
    add("--picture", type=Path, metavar="FILE", help="draw a typical success and failure (PNG)")
    add("--pictured", nargs=2, metavar="ROW", help="in it (default: most and least right)")
    options = parser.parse_args(arguments)
    names = [case.name for case in CASES] + list(INSTRUMENTAL)
    if unknown := [row for row in options.rows or () if row not in names]:
        raise UserError(f"--rows {unknown[0]!r}: wanted some of {'; '.join(names)}")
    if options.mixtures < 1 or options.seconds < 1:
        raise UserError("wanted at least 1 mixture of 1 second")
    for folder in (options.material, options.songs):
        if folder and not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
    material = Material(options.material)
    results = [run(name, material, options) for name in options.model]
    title = f"{options.mixtures} mixtures of {options.seconds:g} s a row."
    text = "\n\n".join(f"`{one['model']}`, {title}\n\n{table(one)}" for one in results)
    line = json.dumps({"bench": "where", "models": results})
    print(f"{text}\n")
    if options.picture:
        files.write(options.picture, picture(results[0], material, options))
    print(line)
    if options.out:
        files.write(options.out.with_suffix(".md"), f"{text}\n")
        files.write(options.out.with_suffix(".json"), f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, "where"))
