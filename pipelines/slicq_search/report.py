"""What a search found: a table for people, a CSV for programs, and a picture."""

import csv
import io
from collections.abc import Sequence

from pipelines.slicq_search.results import Row

SHOWN = 15  # trials in the printed table
# Okabe and Ito's colours, with a mark each, for those who see no colours
MARKS = (("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
MARKS += (("#D55E00", "v"), ("#56B4E9", "P"))


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The best first."""
    return sorted(rows, key=lambda row: (-row.score, row.name))


def best(rows: Sequence[Row]) -> Row | None:
    """The best trial, if there is one."""
    return next((row for row in ranked(rows) if row.number is not None), None)


def table(rows: Sequence[Row], targets: Sequence[str], shown: int = SHOWN) -> str:
    """The best trials, and all rows to compare with, in their order of score."""
    lines = [["", "transform", "slice", "bands", "redundancy", "score", *targets]]
    rank = 0
    for row in ranked(rows):
        rank += row.number is not None
        if row.number is not None and rank > shown:
            continue
        scores = [f"{value:.3f}" for value in (row.score, *map(row.targets.get, targets))]
        size = [str(row.slice), str(row.bands), f"{row.redundancy:.2f}"]
        lines.append([str(rank) if row.number is not None else "-", row.name, *size, *scores])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            word.ljust(width) if column == 1 else word.rjust(width)
            for column, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_csv(rows: Sequence[Row], targets: Sequence[str]) -> str:
    """All rows and all that is known of each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parameters = ("scale", "bins", "low_hz", "gamma_hz")
    about = ("slice", "bands", "redundancy", "score")
    times = ("compile_seconds", "seconds")
    writer.writerow(["rank", "name", "number", *parameters, *about, *targets, *times])
    for rank, row in enumerate(ranked(rows), 1):
        number = "" if row.number is None else row.number
        chosen = [row.parameters.get(name, "") for name in parameters]
        values = [getattr(row, name) for name in about]
        scores = [row.targets[target] for target in targets]
        last = [getattr(row, name) for name in times]
        writer.writerow([rank, row.name, number, *chosen, *values, *scores, *last])
    return text.getvalue()


def picture(rows: Sequence[Row], rate: int) -> bytes:
    """Scores over bins, lowest frequency and length of slice -> PNG; equal rows give equal files.

    Rows to compare with are lines. matplotlib must be there.
    """
    import matplotlib
    from matplotlib.figure import Figure

    trials, others = ([row for row in rows if (row.number is None) == flag] for flag in (0, 1))
    panels = (
        ("bins", lambda row: row.parameters["bins"]),
        ("lowest band, Hz", lambda row: row.parameters["low_hz"]),
        ("slice, ms", lambda row: 1000 * row.slice / rate),
    )
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "font.size": 9}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True)
        scales = sorted({row.parameters["scale"] for row in trials})
        for axis, (label, value) in zip(axes, panels, strict=True):
            for number, scale in enumerate(scales):
                chosen = [row for row in trials if row.parameters["scale"] == scale]
                colour, mark = MARKS[number % len(MARKS)]
                points = [value(row) for row in chosen], [row.score for row in chosen]
                axis.plot(*points, mark, color=colour, markersize=4.5, label=scale)
            for number, row in enumerate(others):
                style = ("--", ":", "-.")[number % 3]
                axis.axhline(row.score, color="0.4", linestyle=style, linewidth=1, label=row.name)
            if found := best(trials):
                axis.plot(
                    value(found), found.score, "o", markersize=11, fillstyle="none", color="black"
                )
            axis.set_xlabel(label)
            axis.grid(color="0.9")
            axis.set_axisbelow(True)
        axes[0].set_ylabel("SDR with the mixture's phases, dB")
        axes[2].set_xscale("log")
        axes[2].xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axes[2].xaxis.set_minor_formatter(lambda x, _: "")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
        )
        if found := best(trials):
            figure.suptitle(
                f"{len(trials)} transforms; the best: {found.name}, {found.score:.3f} dB"
            )
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()
