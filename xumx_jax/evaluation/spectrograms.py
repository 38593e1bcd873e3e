"""Spectrogram pictures: an STFT beside a sliCQ, on the same axes and in the same colours.

Frequency runs upwards on the scale of the sliCQ, one row of the picture for each of its bands. A
level is that of a sine in decibels of full scale, whichever the transform; noise has the level of
what falls into a band. Waves are transformed in blocks, so that memory does not grow with them.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xumx_jax.errors import UserError
from xumx_jax.transforms.slicq import SliCQ

RANGE_DB, SILENCE_DB = 80.0, -120.0
BLOCK = 1 << 18  # samples
NARROWEST = 1e-3  # bins of a row
MAIN_LOBE = 1.5  # bins: the sum of a Hann window's powers over the largest of them
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 40000)
DPI = 100


def edges_hz(transform: SliCQ) -> np.ndarray:
    """Where the rows of a picture begin and end, [band + 1]: half way between centres."""
    hertz = np.sort(transform.hertz)
    return np.concatenate([[0.0], (hertz[1:] + hertz[:-1]) / 2, [transform.sample_rate / 2]])


def slicq_power(wave: np.ndarray, transform: SliCQ, edges: np.ndarray) -> np.ndarray:
    """Mean power of each band over the spans between `edges` (samples), [band, span].

    The wave is [channel, time]. Slices overlap; their magnitudes are added.
    """
    hop, length = transform.hop, transform.length
    count = max(1, BLOCK // hop)
    spans = _Spans(transform.bands, edges)
    # a hop before and behind, so that the slices between are whole
    for first, block in _blocks(wave, count * hop, hop):
        start = 0
        flat = np.asarray(_magnitudes(transform, block))[
            :, 1 : count + 2
        ]  # [channel, slice, coefficient]
        for part in transform.blocks:
            stop, half = start + part.bands * part.size, part.size // 2
            values = flat[..., start:stop].reshape(*flat.shape[:2], part.bands, part.size)
            # the second half of a slice and the first of the next are of the same samples
            added = values[:, :-1, :, half:] + values[:, 1:, :, :half]
            power = np.square(added * (2 * part.size / length)).mean(0)
            power = np.moveaxis(power, 0, 1).reshape(part.bands, -1)
            spans.add(power, part.first, first, length / part.size)
            start = stop
    return spans.means()


def stft_power(
    wave: np.ndarray, rate: int, n_fft: int, rows_hz: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """As `slicq_power` of an STFT (Hann windows, four of which overlap), [row, span].

    The rows lie between `rows_hz`; a row takes in what falls into it, but at least a whole bin.
    """
    hop = n_fft // 4
    count = max(1, BLOCK // hop)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    low, high = rows_hz[:-1] * n_fft / rate + 0.5, rows_hz[1:] * n_fft / rate + 0.5
    high = np.maximum(
        high, low + NARROWEST
    )  # the last centre may be half the rate but for rounding
    share = np.maximum(high - low, MAIN_LOBE) / MAIN_LOBE / (high - low)
    spans = _Spans(len(rows_hz) - 1, edges)
    # frames begin half a window early, so that their middles are at multiples of the hop
    for first, block in _blocks(wave, count * hop, n_fft // 2):
        starts = np.arange(count) * hop
        frames = block[:, starts[:, None] + np.arange(n_fft)] * window
        power = np.square(np.abs(np.fft.rfft(frames) * (2 / window.sum()))).mean(0)
        rows = (_integral(power, high) - _integral(power, low)) * share  # [frame, row]
        spans.add(rows.T, 0, first - hop / 2, hop)
    return spans.means()


class _Spans:
    """Means over spans of time of values that come in blocks, each value a step long."""

    def __init__(self, rows: int, edges: np.ndarray):
        self.edges = edges
        self.totals = np.zeros((rows, len(edges)))  # from the beginning to each edge
        self.sums = np.zeros((rows, 1))

    def add(self, values: np.ndarray, row: int, first: float, step: float) -> None:
        """Add [row, value] of the rows from `row` on, from sample `first` on."""
        rows = slice(row, row + len(values))
        at = (self.edges - first) / step
        later = at > 0
        part = _integral(values, np.minimum(at[later], values.shape[1])) * step
        self.totals[rows, later] = self.sums[rows] + part
        self.sums[rows] += values.sum(1, keepdims=True, dtype=float) * step

    def means(self) -> np.ndarray:
        return np.diff(self.totals) / np.diff(self.edges)


def _integral(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Add up [..., value] from the first to each place `at`, which may lie within a value."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=total[..., 1:])
    whole = np.minimum(np.floor(at).astype(int), values.shape[-1] - 1)
    return total[..., whole] + values[..., whole] * (at - whole)


def _blocks(wave: np.ndarray, size: int, margin: int) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over [channel, time] in blocks of one length with margins, zeros beyond its ends.

    The last reaches a margin beyond the end, where the last frame may have its middle.
    """
    samples = wave.shape[1]
    for first in range(0, samples + margin, size):
        start, stop = first - margin, first + size + margin
        block = np.zeros((len(wave), stop - start), np.float32)
        inside = wave[:, max(start, 0) : stop]
        begin = max(-start, 0)
        block[:, begin : begin + inside.shape[1]] = np.nan_to_num(inside, posinf=0, neginf=0)
        yield first, block


@partial(jax.jit, static_argnums=0)
def _magnitudes(transform: SliCQ, block: jax.Array) -> jax.Array:
    return jnp.abs(transform.analyse(block))


def draw(
    rows: Mapping[str, Mapping[str, np.ndarray]],
    transform: SliCQ,
    seconds: tuple[float, float],
    size: tuple[int, int],
) -> bytes:
    """Draw {title: {transform's name: power [band, span]}} -> PNG of so many pixels.

    `seconds` are those of the first and last edge. The range of 80 dB below the loudest is shared.
    Equal powers give equal files. Raises UserError without matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            "pictures need matplotlib, which is not installed: pip install '.[eval]'"
        ) from error
    from matplotlib.figure import Figure

    level = {title: {n: decibels(p) for n, p in each.items()} for title, each in rows.items()}
    top = max(float(db.max()) for each in level.values() for db in each.values())
    names = list(next(iter(rows.values())))
    style: dict[Any, Any] = {**matplotlib.rcParamsDefault, "font.size": 8}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of files' names
        figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, layout="constrained")
        axes = figure.subplots(len(rows), len(names), sharex=True, sharey=True, squeeze=False)
        image: Any = None
        for row, (title, each) in zip(axes, level.items(), strict=True):
            for axis, (name, db) in zip(row, each.items(), strict=True):
                image = axis.imshow(
                    db,
                    origin="lower",
                    aspect="auto",
                    interpolation="nearest",
                    extent=(*seconds, 0, transform.bands),
                    vmin=top - RANGE_DB,
                    vmax=top,
                    cmap="magma",
                )
                axis.set_title(f"{title}: {name}".replace("$", r"\$"))
            row[0].set_ylabel("Hz")
        places = np.interp(TICKS_HZ, np.sort(transform.hertz), np.arange(transform.bands) + 0.5)
        ticks = [n for n, hz in enumerate(TICKS_HZ) if hz < transform.sample_rate / 2]
        ticks = [n for n in ticks if TICKS_HZ[n] > transform.hertz[1] / 2]
        axes[0, 0].set_yticks(places[ticks], [_hertz(TICKS_HZ[n]) for n in ticks])
        for axis in axes[-1]:
            axis.set_xlabel("s")
        figure.colorbar(image, ax=axes, label="dB, full-scale sine = 0", pad=0.01)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def decibels(power: np.ndarray) -> np.ndarray:
    """Power -> dB, at least those of silence."""
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


def _hertz(hz: int) -> str:
    return f"{hz // 1000}k" if hz >= 1000 else str(hz)
