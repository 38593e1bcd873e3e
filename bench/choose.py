"""Name the best of several weights: on generated songs, and the first half of a real one.

    make choose RUN=runs/demo SONG=FOLDER
    python bench/choose.py runs/demo more.safetensors --songs songs/choose --song FOLDER

A folder of a training run stands for its checkpoints and for its `best`. Each is scored by
`evaluate.py` (SDR in 1 s frames, median over frames, then over songs, mean over the sources). What
counts is the mean of both data sets, or the one that is given. Prints a table, a line of JSON, and
the best; scores that exist are kept.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from whole_songs import HALVES, write  # noqa: E402

from pipelines.evaluation import command  # noqa: E402
from pipelines.tracks.names import ORDER as SOURCES  # noqa: E402
from xumx_jax.commands.console import run_program  # noqa: E402
from xumx_jax.errors import UserError  # noqa: E402
from xumx_jax.weights import store  # noqa: E402

BEST = "best"  # of a run


def candidates(places: list[Path]) -> dict[str, Path]:
    """{label: weights} of files, checkpoints and all that is in runs. Raises UserError if none."""
    found = {}
    for place in places:
        steps = sorted((place / store.STEPS).glob("[0-9]*"))
        inside = [*steps, *([place / BEST] if steps and (place / BEST).exists() else [])]
        if not inside and not (place.is_file() or (place / store.MANIFEST).is_file()):
            raise UserError(f"{place}: wanted weights, a checkpoint, or a run with checkpoints")
        for path in inside or [place]:
            label = f"{place.name}-{path.name}" if inside else path.stem
            label = label.replace(".", "_")  # else it would be taken for a path
            if label in found:
                raise UserError(f"{place}: a second {label!r}; rename it")
            found[label] = path
    return found


def evaluate(weights: dict[str, Path], root: Path, subset: str, sources, evaldir: Path) -> dict:
    """Score all weights on a data set -> {label: {source: SDR, ..., "mean": SDR}}."""
    named = [f"{label}={path}" for label, path in weights.items()]
    status = command.main(
        ["--model", named[0], "--root", str(root), "--subset", subset, "--metrics", "sdr"]
        + (["--compare", *named[1:]] if named[1:] else [])
        + ["--targets", *sources, "--evaldir", str(evaldir)]
    )
    if status:
        sys.exit(status)
    methods = json.loads((evaldir / "scores.json").read_text())["methods"]
    return {label: means(methods[label]["targets"], sources) for label in weights}


def means(targets: dict, sources) -> dict[str, float]:
    """The medians of the sources, and their mean."""
    each = {source: targets[source]["SDR"]["median"] for source in sources}
    return each | {"mean": sum(each.values()) / len(each)}


def best(scores: dict[str, dict[str, dict[str, float]]]) -> tuple[dict[str, float], str]:
    """{data set: {label: means}} -> (mean over the data sets of each label, the best label)."""
    labels = next(iter(scores.values()))
    total = {
        label: sum(found[label]["mean"] for found in scores.values()) / len(scores)
        for label in labels
    }
    return total, max(total, key=lambda label: total[label])


def table(scores: dict, total: dict[str, float]) -> str:
    """A row for each of the weights: the means of the data sets, and what counts."""
    lines = [
        f"| weights | {' | '.join(scores)} | counts |",
        "|---" + "|--:" * (len(scores) + 1) + "|",
    ]
    for label, counts in sorted(total.items(), key=lambda item: -item[1]):
        each = [f"{found[label]['mean']:.2f}" for found in scores.values()]
        lines.append(f"| {label} | {' | '.join(each)} | {counts:.2f} |")
    return "\n".join(lines)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("weights", nargs="+", type=Path, help="files, checkpoints, or folders of runs")
    add("--songs", type=Path, help="folder of generated songs that training did not see")
    add("--song", type=Path, metavar="FOLDER", help="stems of a song; its first half is used")
    add("--workdir", type=Path, default=Path("runs/choose"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not (options.songs or options.song):
        raise UserError("nothing to score on; use --songs, --song, or both")
    weights, scores = candidates(options.weights), {}
    if options.songs:
        place = options.workdir / "songs"
        songs = options.songs.resolve()
        scores["songs"] = evaluate(weights, songs.parent, songs.name, SOURCES, place)
    if options.song:
        place = options.workdir / "half"
        root, sources = write(options.song, options.workdir / "data", HALVES[0])
        scores[HALVES[0]] = evaluate(weights, root, "test", sources, place)
    total, winner = best(scores)
    print(f"\n{table(scores, total)}\n\nbest: {winner} ({weights[winner]})")
    print(json.dumps({"bench": "choose", "best": str(weights[winner]), "sdr_db": scores}))
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, "choose"))
