"""Box plots of scores: one picture per metric, one panel per target, methods side by side."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.evaluation import files
from xumx_jax.evaluation.scores import TrackScores, median

# Okabe and Ito's colours, which the colour-blind tell apart; rows have names, so they may repeat
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#F0E442", "#999999")
SHOWN = (0.5, 99.5)  # percentiles of a panel's values, beyond which whiskers may be cut
MARGIN = 0.06  # of a panel's width, on both sides
ABREAST = 5  # panels
LONGEST = 34  # characters of a method's name
FLAG = "†"


def draw(
    folder: str | Path,
    methods: Mapping[str, list[TrackScores]],
    metrics: Sequence[str],
    targets: Sequence[str],
) -> list[Path]:
    """Write folder/<metric>.png and .svg; return the paths of the PNGs.

    Boxes are over the tracks' medians or, if no method has more than one track, over its frames.
    Equal scores give equal files. Raises UserError without matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            "box plots want matplotlib, which is not installed: pip install '.[eval]'"
        ) from error
    style = {"svg.hashsalt": "xumx_jax", "svg.fonttype": "path", "font.size": 9}
    pictures = []
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of methods' names
        for metric in metrics:
            panels = {target: _values(methods, target, metric) for target in targets}
            panels = {t: rows for t, rows in panels.items() if any(len(r) for r in rows.values())}
            if not panels:
                continue
            figure = _figure(metric, panels, _title(methods, metric), _flagged(methods, metric))
            for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                content = io.BytesIO()
                figure.savefig(content, format=kind, dpi=150, metadata=metadata)
                files.write(Path(folder) / f"{metric}.{kind}", content.getvalue())
            pictures.append(Path(folder) / f"{metric}.png")
    return pictures


def _over_frames(methods) -> bool:
    return all(len(tracks) < 2 for tracks in methods.values())


def _values(methods, target: str, metric: str) -> dict[str, np.ndarray]:
    """What the boxes of one panel are made of, for every method."""
    found = {}
    for name, tracks in methods.items():
        frames = [s.frames[target][metric] for s in tracks if metric in s.frames.get(target, {})]
        if not _over_frames(methods):
            frames = [[median(values)] for values in frames]
        values = np.concatenate([np.zeros(0), *frames])
        found[name] = values[~np.isnan(values)]
    return found


def _title(methods, metric: str) -> str:
    if _over_frames(methods):
        names = sorted({scores.track for tracks in methods.values() for scores in tracks})
        return f"{metric} of the frames of one track ({_short(', '.join(names))})"
    counts = sorted({len(tracks) for tracks in methods.values()})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{metric} of {number} tracks (median over the frames of each)"


def _flagged(methods, metric: str) -> set[str]:
    """Name the methods whose metric rests on singular references."""
    return {
        name
        for name, tracks in methods.items()
        if any(metric in have for scores in tracks for have in scores.regularised.values())
    }


def _figure(metric: str, panels: dict[str, dict], title: str, flagged: set[str]):
    from matplotlib.figure import Figure

    methods = list(next(iter(panels.values())))
    columns = min(len(panels), ABREAST)
    rows = -(-len(panels) // columns)
    labels = [_short(name) + (f" {FLAG}" if name in flagged else "") for name in methods]
    width = max(5.5, 2.2 * columns + 0.3 + 0.07 * max(map(len, labels)))
    height = 0.8 + rows * (0.6 + 0.24 * len(methods))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axis, (target, values) in zip(axes, panels.items(), strict=False):
        axis.set_title(target)
        axis.set_xlabel("dB")
        _panel(axis, list(values.values()))
    for axis in axes[len(panels) :]:
        axis.remove()
    axes[0].set_yticks(range(len(methods)), labels)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)  # the first on top
    figure.suptitle(title)
    legend = "line: median; box: quartiles; whiskers: up to 1.5 boxes; ◂ ▸ (how many) lie beyond"
    if flagged:
        legend += f"\n{FLAG} singular references: {metric} is not reproducible, see scores.md"
    figure.supxlabel(legend, fontsize="small", color="0.3")
    return figure


def _panel(axis, rows: list[np.ndarray]) -> None:
    from matplotlib.cbook import boxplot_stats

    places = [place for place, values in enumerate(rows) if len(values)]
    boxes = [boxplot_stats(rows[place])[0] for place in places]
    drawn = axis.bxp(
        boxes,
        positions=places,
        orientation="horizontal",
        widths=0.6,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": "black", "linewidth": 1.5},
        flierprops={
            "marker": "o",
            "markersize": 2.5,
            "markerfacecolor": "0.3",
            "markeredgewidth": 0,
        },
    )
    for patch, place in zip(drawn["boxes"], places, strict=True):
        patch.set_facecolor(COLOURS[place % len(COLOURS)])
        patch.set_linewidth(0.8)
    low, high = _range(boxes, np.concatenate(rows))
    axis.set_xlim(low, high)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    if low < 0 < high:
        axis.axvline(0, color="0.6", linewidth=0.8, zorder=0.6)
    for place, values in enumerate(rows):
        if not len(values):
            axis.text((low + high) / 2, place, "no score", color="0.5", ha="center", va="center")
        for edge, marker, beyond, side in (
            (low, "<", np.sum(values < low), 1),
            (high, ">", np.sum(values > high), -1),
        ):
            if beyond:
                spot = edge + side * 0.02 * (high - low)
                axis.plot([spot], [place], marker=marker, color="black", markersize=4)
            if beyond > 1:
                axis.annotate(
                    str(beyond),
                    (spot, place),
                    (side * 4, 0),
                    textcoords="offset points",
                    ha="left" if side > 0 else "right",
                    va="center",
                    fontsize="x-small",
                )


def _range(boxes: list[dict], values: np.ndarray) -> tuple[float, float]:
    """Choose an axis that shows all boxes, and whiskers but for a rare one that flattens the rest.

    Values outside of the whiskers have no say, however far they lie.
    """
    bottom, top = np.percentile(values, SHOWN)
    low = max(min(b["whislo"] for b in boxes), min(bottom, *(b["q1"] for b in boxes)))
    high = min(max(b["whishi"] for b in boxes), max(top, *(b["q3"] for b in boxes)))
    if high - low < 1e-3:  # dB; one value, or all the same
        low, high = low - 1, high + 1
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def _short(name: str) -> str:
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"
    return name.replace("$", r"\$")
