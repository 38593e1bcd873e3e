"""Score the bundled model, baselines and an oracle, and write the tables into its model card.

    make scores            MUSDB=FOLDER SUBSET=test CLIP=FOLDER SONG=FOLDER MODEL=FILE
    python bench/scores.py --musdb MUSDB18 --subset test --songs songs/test --clip CLIP --song SONG

Real music is a MUSDB18 folder, or without one its preview of 7 s per track, which is downloaded;
further, where they are given, the stems of a clip, and those of a song whose first half may have
chosen the model, by halves (`whole_songs.py` says which file is which source). Generated songs that
were not used in training are scored as well. All of it goes through `evaluate.py`, whose score
files, report and box plots stay in the workdir: existing scores are not computed again. The tables
are printed, with a line of JSON, and those of the bundled model are written between the markers of
MODEL_CARD.md.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from whole_songs import HALVES, write  # noqa: E402

from pipelines.datasets.cache import cache_folder  # noqa: E402
from pipelines.datasets.download import fetch_archive  # noqa: E402
from pipelines.datasets.musdb import musdb_index  # noqa: E402
from pipelines.evaluation import command  # noqa: E402
from pipelines.tracks.names import ORDER as SOURCES  # noqa: E402
from xumx_jax import files  # noqa: E402
from xumx_jax.commands.console import run_program  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402

FILES = (ROOT / "MODEL_CARD.md",)
BEGIN, END = "<!-- scores -->", "<!-- end of scores -->"
MODEL = "demo"
ROWS = {
    MODEL: f"bundled model (`{MODEL}`)",
    "hand-set": "no learning: bands set by hand, median filter (`hand-set`)",
    "mixture-share": "mixture / 4 (`mixture-share`)",
    "mixture": "mixture (`mixture`)",
    "IRM2": "ideal ratio mask, which knows the answer (`IRM2`)",
}
PROTOCOL = """\
BSSEval v4 by museval's protocol: frames of 1 s, median over the frames of a track, then over the
tracks, in dB. The sources' columns and "mean" are SDR; ISR, SIR and SAR are means over the sources.
Written by `make scores`."""
SINGULAR = """\
ISR, SIR and SAR are regularised on {}, whose references are singular (such as those decoded
from AAC): there the protocol's own values change with rounding."""
MISSING = "–"
MUCH = 100  # dB; above, a number tells of rounding alone: the artifacts of a plain mixture


def evaluate(
    root: Path, subset: str, evaldir: Path, more=(), sources=SOURCES, model: str = MODEL
) -> dict:
    """Evaluate all rows on a data set -> the summary of `evaluate.py`. Exits if that fails."""
    status = command.main(
        ["--model", f"{MODEL}={model}", "--compare", *(row for row in ROWS if row != MODEL)]
        + ["--root", str(root), "--subset", subset, "--targets", *sources]
        + ["--evaldir", str(evaldir), *more]
    )
    if status:
        sys.exit(status)
    return json.loads((evaldir / "scores.json").read_text())


def table(summary: dict) -> str:
    """Turn a summary into a table: SDR of every source, and the means of all metrics.

    Means are over the sources that the data has.
    """
    metrics = ("ISR", "SIR", "SAR")
    lines = [f"| | {' | '.join(SOURCES)} | mean | {' | '.join(metrics)} |"]
    lines.append("|---" * (2 + len(SOURCES) + len(metrics)) + "|")
    for row, name in ROWS.items():
        method = summary["methods"][row]
        there = [source for source in SOURCES if source in method["targets"]]
        each = [_value(method, source, "SDR") for source in SOURCES]
        means = [
            _mean([_value(method, source, metric) for source in there])
            for metric in ("SDR", *metrics)
        ]
        numbers = map(_number, (*each, *means))
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    flagged, tracks = len(method["singular_tracks"]), method["tracks"]
    if flagged:
        which = "all tracks" if flagged == tracks > 1 else f"{flagged} of {tracks} tracks"
        lines += ["", SINGULAR.format("this track" if tracks == 1 else which)]
    return "\n".join(lines)


def _value(method: dict, source: str, metric: str) -> float | None:
    stable = method["regularised"].get(source, {})
    found = stable if metric in stable else method["targets"].get(source, {})
    return found.get(metric, {}).get("median")


def _mean(values) -> float | None:
    return None if None in values else sum(values) / len(values)


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.2f}" if value <= MUCH else f"> {MUCH}"


def size(summary: dict) -> str:
    """The amount of music: "20 tracks, 600 frames of 1 s"."""
    method = summary["methods"][MODEL]
    tracks, frames = method["tracks"], method["frames"]
    return f"{tracks} track{'s' * (tracks != 1)}, {frames} frames of 1 s"


def rewrite(path: Path, block: str) -> None:
    """Put a block between the markers of a file. Raises UserError if there is not one pair."""
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"{path}: wanted one {BEGIN} and one {END} after it")
    before, rest = text.split(BEGIN)
    files.write(path, f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}")


def sdr(summary: dict) -> dict:
    """The SDR of every row and source, and their mean over the sources that the data has."""
    found = {}
    for row in ROWS:
        method = summary["methods"][row]
        each = {source: _value(method, source, "SDR") for source in method["targets"]}
        found[row] = each | {"mean": _mean(list(each.values()))}
    return found


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--musdb", help="MUSDB18, STEMS or WAV (default: its preview, downloaded)")
    add("--subset", default="test", help="of MUSDB18 (default: %(default)s)")
    add("--songs", nargs="+", type=Path, default=[Path("songs/test")], metavar="FOLDER",
        help="folders of generated songs (default: songs/test)")  # fmt: skip
    add("--clip", type=Path, metavar="FOLDER", help="stems of another clip of real music")
    add("--song", type=Path, metavar="FOLDER", help="stems of a song, scored by halves")
    add("--model", default=MODEL, help="name or path; the card is the bundled model's alone")
    add("--workdir", type=Path, default=Path("runs/scores"), help="default: %(default)s")
    add("--overwrite", action="store_true", help="score again what has been scored")
    options = parser.parse_args(arguments)
    more = ["--overwrite"] if options.overwrite else []
    workdir = options.workdir
    musdb = options.musdb
    if not musdb:
        url = musdb_index()["sample-url"]
        place, instead = cache_folder() / "musdb18-7", "--musdb FOLDER (make: MUSDB=FOLDER)"
        musdb = fetch_archive(url, place, "MUSDB18 preview", instead)

    def scored(root: Path, subset: str, name: str, sources=SOURCES) -> dict:
        return evaluate(root, subset, workdir / name, more, sources, options.model)

    found = {}
    real = scored(musdb, options.subset, "musdb18")
    tracks = sorted((workdir / "musdb18" / options.subset).glob("*.json"))
    what = f"*{tracks[0].stem}*" if len(tracks) == 1 else f"`{options.subset}`"
    preview = "" if options.musdb else " of its preview"
    found[f"MUSDB18, {what} ({size(real)}{preview})"] = real
    parts = [(options.clip, "clip", "")] if options.clip else []
    parts += [(options.song, f"half{n}", half) for n, half in enumerate(HALVES) if options.song]
    for folder, name, part in parts:
        root, sources = write(folder, workdir / "data" / name, part)
        summary = scored(root, "test", name, sources)
        title = ", ".join([f"*{folder.resolve().name}*", *([part] if part else [])])
        found[f"{title} ({size(summary)})"] = summary
    for folder in options.songs:
        folder = folder.resolve()
        summary = scored(folder.parent, folder.name, f"songs-{folder.name}")
        found[f"Generated songs that training did not see, `{folder.name}` ({size(summary)})"] = (
            summary
        )

    tables = [f"{title}:\n\n{table(summary)}" for title, summary in found.items()]
    block = "\n\n".join([PROTOCOL, *tables])
    print(f"\n{block}\n")
    if options.model == MODEL:
        for path in FILES:
            rewrite(path, block)
        print(f"written into {', '.join(path.name for path in FILES)}")
    sets = {title: sdr(summary) for title, summary in found.items()}
    print(json.dumps({"bench": "scores", "model": options.model, "sdr_db": sets}))
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, "scores"))
