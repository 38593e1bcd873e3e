"""Box plots of scores: one picture per metric, one panel per target, methods side by side."""

import io
import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.evaluation.scores import TrackScores, median

# Okabe and Ito's colours, which the colour-blind tell apart; rows have names, so they may repeat
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#F0E442", "#999999")
FENCE = 3  # distances between the quartiles of a panel's values, as in Tukey's "far out"
MARGIN = 0.04  # of a panel's width
GUTTER, DIGIT = 0.08, 0.04  # the same, where values lie beyond, for the arrow and their number
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

    Boxes are over the tracks' medians or, if no method has more than one track, over its frames;
    of metrics with one number for a whole track, over these. The title says which. Equal scores
    give equal files. Raises UserError without matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            "box plots need matplotlib, which is not installed: pip install '.[eval]'"
        ) from error
    style: dict[Any, Any] = {"svg.hashsalt": "xumx_jax", "svg.fonttype": "path", "font.size": 9}
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
    """What the boxes of one panel are made of, for every method; stable values where there are."""
    found = {}
    for name, tracks in methods.items():
        if _whole(methods, metric):
            values = np.array([s.whole.get(target, {}).get(metric, np.nan) for s in tracks])
            found[name] = values[~np.isnan(values)]
            continue
        tables = [{**s.frames.get(target, {}), **s.regularised.get(target, {})} for s in tracks]
        frames = [table[metric] for table in tables if metric in table]
        if not _over_frames(methods):
            frames = [[median(values)] for values in frames]
        values = np.concatenate([np.zeros(0), *frames])
        found[name] = values[~np.isnan(values)]
    return found


def _whole(methods, metric: str) -> bool:
    """Whether a metric has one number for a whole track."""
    tables = (scores.whole for tracks in methods.values() for scores in tracks)
    return any(metric in have for table in tables for have in table.values())


def _title(methods, metric: str) -> str:
    whole = _whole(methods, metric)
    if _over_frames(methods) and not whole:
        names = sorted({scores.track for tracks in methods.values() for scores in tracks})
        return f"{metric} of the frames of one track ({_short(', '.join(names))})"
    counts = sorted({len(tracks) for tracks in methods.values() if tracks})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    each = "one number for each" if whole else "median over the frames of each"
    return f"{metric} of {number} track{'' if number == '1' else 's'} ({each})"


def _flagged(methods, metric: str) -> set[str]:
    """Name the methods of whose tracks some have singular references, which matter to a metric."""
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
        axis.tick_params(axis="y", left=False)
        _panel(axis, list(values.values()))
    for axis in axes[len(panels) :]:
        axis.remove()
    axes[0].set_yticks(range(len(methods)), labels)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)  # the first on top
    figure.suptitle(title)
    legend = "line: median; box: quartiles; whiskers: up to 1.5 boxes; ◂ ▸ (how many) lie beyond"
    if flagged:
        legend += f"\n{FLAG} regularised values, where references are singular: see scores.md"
    figure.supxlabel(legend, fontsize="small", color="0.3")
    return figure


def _panel(axis, rows: list[np.ndarray]) -> None:
    from matplotlib.cbook import boxplot_stats
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator

    places = [place for place, values in enumerate(rows) if len(values)]
    boxes = [boxplot_stats(rows[place])[0] for place in places]
    low, high = _range(boxes, np.concatenate(rows))
    width = high - low
    for box in boxes:
        box["fliers"] = [value for value in box["fliers"] if low <= value <= high]
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
    shown = Rectangle((low - width / 100, -1), width * 1.02, len(rows) + 1)
    for artist in itertools.chain(*(drawn[part] for part in drawn if part != "fliers")):
        artist.set_clip_path(shown.get_path(), shown.get_transform() + axis.transData)
    left, right = low - MARGIN * width, high + MARGIN * width
    for place, values in enumerate(rows):
        if not len(values):
            axis.text((low + high) / 2, place, "no score", color="0.5", ha="center", va="center")
            continue
        below, above = int(np.sum(values < low)), int(np.sum(values > high))
        middle = float(np.median(values))
        far = f" (median {middle:.0f} dB)" if not low <= middle <= high else ""
        if below:
            left = min(left, low - _gutter(below) * width)
            _edge(axis, 0.01, place, f"◂{below if below > 1 else ''}{far if middle < low else ''}")
        if above:
            right = max(right, high + _gutter(above) * width)
            _edge(axis, 0.99, place, f"{far if middle > high else ''}{above if above > 1 else ''}▸")
    axis.set_xlim(left, right)
    axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    if left < 0 < right:
        axis.axvline(0, color="0.6", linewidth=0.8, zorder=0.6)


def _gutter(count: int) -> float:
    return GUTTER + DIGIT * len(str(count))


def _edge(axis, at: float, place: int, text: str) -> None:
    side = "left" if at < 0.5 else "right"
    axis.text(at, place, text.strip(), transform=axis.get_yaxis_transform(), ha=side, va="center")


def _range(boxes: list[dict], values: np.ndarray) -> tuple[float, float]:
    """Choose what an axis shows: boxes with their whiskers, but none far off from all the rest.

    Values outside of the whiskers have no say, however far they lie, and neither has a method that
    failed among many that did not; both are counted at the edge.
    """
    lower, upper = np.percentile(values, (25, 75))
    reach = FENCE * (upper - lower)
    low = max(min(box["whislo"] for box in boxes), lower - reach)
    high = min(max(box["whishi"] for box in boxes), upper + reach)
    if high - low < 1e-3:  # dB; one value, or all the same
        low, high = low - 1, high + 1
    return low, high


def _short(name: str) -> str:
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"
    return name.replace("$", r"\$")
