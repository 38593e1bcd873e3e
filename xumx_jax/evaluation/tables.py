"""A summary of scores as Markdown."""

from collections.abc import Sequence
from pathlib import Path

MISSING = "–"
FLAG = "†"
SUM = "accompaniment"
NAMED = 5  # of many tracks, so many are named


def markdown(summary: dict, pictures: Sequence[Path] = ()) -> str:
    """Turn what `report.summarise` returns into text: protocol, tables, notes, pictures."""
    methods = summary["methods"]
    blocks = ["# Scores", _protocol(summary), _who(methods)]
    common = summary["common"]
    if common is None:
        blocks += _tables(summary, methods)
    else:
        blocks.append(
            "The methods have different tracks; all of them have "
            f"{_count(len(common['tracks']), 'track')} in common."
        )
        if common["methods"]:
            blocks.append("## Over the tracks in common")
            blocks += _tables(summary, common["methods"])
        blocks.append("## Over all tracks of each method")
        blocks += _tables(summary, methods)
    blocks += _notes(methods)
    if pictures:
        some = common is not None and common["tracks"]
        blocks.append(f"## Box plots{' over the tracks in common' if some else ''}")
        blocks += [f"![{path.stem}]({path.as_posix()})" for path in pictures]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _protocol(summary: dict) -> str:
    sizes = {tuple(s) for m in summary["methods"].values() for s in m["windows_and_hops_seconds"]}
    sizes = sizes if summary["metrics"] else set()
    lines = [*summary.get("protocol", ())]
    if len(sizes) == 1:
        window, hop = sizes.pop()
        lines.append(f"Frames of {window:g} s, one every {hop:g} s.")
    elif sizes:
        each = ", ".join(f"{window:g} s every {hop:g} s" for window, hop in sorted(sizes))
        lines.append(
            f"Frames differ between the scores, so they cannot be compared exactly: {each}."
        )
    paired = [SUM in have["targets"] for have in summary["methods"].values()]
    if any(paired) and not all(paired):
        lines.append(
            f"Where there is {SUM}, museval takes the ISR, SIR and SAR of vocals from that pair "
            "alone; they cannot be compared with those of methods without it."
        )
    if summary["metrics"]:
        lines.append(
            "A track's score is the median over its frames, a method's the median over its tracks, "
            "as in `museval.EvalStore`. Frames in which a source is silent do not count."
        )
    if summary["whole_metrics"]:
        lines.append(
            f"{' and '.join(summary['whole_metrics'])}: the mean over tracks of one number each."
        )
    lines.append("All in dB.")
    return "\n".join(f"- {line}" for line in lines)


def _who(methods: dict) -> str:
    rows = []
    for name, method in methods.items():
        frames = str(method["frames"])
        if method["frames_without_score"]:
            frames += f" ({method['frames_without_score']} without a score)"
        rows.append([name, str(method["tracks"]), frames, _produced(method)])
    return _table(["method", "tracks", "frames", "scored by"], rows)


def _produced(method: dict) -> str:
    if not method["tracks"]:
        return MISSING
    facts = {key: value for key, value in method["protocol"].items() if value not in (None, {}, [])}
    facts = "; ".join(f"{key} {_word(value)}" for key, value in facts.items())
    return facts or "another program; files in museval's form"


def _word(value) -> str:
    if isinstance(value, list):
        return ", ".join(_word(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_word(part)}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tables(summary: dict, methods: dict) -> list[str]:
    """One table for every metric, methods as rows and targets as columns."""
    targets, blocks, flagged, fewer = summary["targets"], [], False, False
    averaged = summary["averaged_targets"]
    for metric in [*summary["metrics"], *summary["whole_metrics"]]:
        whole = metric in summary["whole_metrics"]
        kind, where = ("mean", "whole") if whole else ("median", "targets")
        columns = [
            t for t in targets if any(metric in m[where].get(t, {}) for m in methods.values())
        ]
        with_mean = len(averaged) > 1 and (whole or metric == "SDR")
        rows = []
        for name, method in methods.items():
            if not any(metric in have for have in method[where].values()):
                continue
            row = [name]
            for target in columns:
                cell = _number(method[where].get(target, {}).get(metric, {}).get(kind))
                stable = {} if whole else method["regularised"].get(target, {}).get(metric, {})
                if stable:
                    cell, flagged = f"{cell}{FLAG} ({_number(stable[kind])})", True
                scored = method[where].get(target, {}).get(metric, {}).get("tracks")
                if scored and scored < method["tracks"]:
                    cell, fewer = f"{cell} [{scored}]", True
                row.append(cell)
            if with_mean:
                row.append(_number(method["mean_over_targets"].get(metric)))
            rows.append(row)
        if not rows:
            continue
        title = f"### {metric}, {kind} over tracks"
        if whole:
            title += " of one number per track"
        blocks += [title, _table([metric, *columns, *(["mean"] if with_mean else [])], rows)]
        if with_mean and averaged != columns:
            blocks.append(f"The mean is over {', '.join(averaged)}.")
    if fewer:
        blocks.append(
            "In square brackets: how many of the method's tracks have that score. The others have "
            "none, for example because the estimate is silent; this may flatter the method."
        )
    if flagged:
        blocks.append(
            f"{FLAG} The references of some tracks are singular: they determine the filters behind "
            "ISR, SIR and SAR so badly that these change with rounding and cannot be reproduced. "
            "In parentheses: the stable, regularised values for those tracks instead. SDR needs "
            "no filters."
        )
    return blocks


def _notes(methods: dict) -> list[str]:
    lines = []
    for name, method in methods.items():
        if method["singular_tracks"]:
            lines.append(f"- {name}: singular references in {_names(method['singular_tracks'])}.")
        lines += [f"- {name}: {note} ({_names(t)})" for note, t in method["notes"].items()]
    return ["## Notes", "\n".join(lines)] if lines else []


def _names(tracks: list[str]) -> str:
    more = len(tracks) - NAMED
    return ", ".join(tracks[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Lay out a table so that it also reads well as plain text, with numbers to the right."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    head = [cell.replace("|", "\\|") for cell in head]
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    columns = list(zip(*rows, strict=True))
    left = [n == 0 or any(cell[:1].isalpha() for cell in c) for n, c in enumerate(columns)]
    lines = [
        [
            cell.ljust(w) if to else cell.rjust(w)
            for cell, w, to in zip(row, widths, left, strict=True)
        ]
        for row in [head, *rows]
    ]
    rule = ["-" * w if to else "-" * (w - 1) + ":" for w, to in zip(widths, left, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
