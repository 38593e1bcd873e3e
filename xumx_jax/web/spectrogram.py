"""The spectrogram of a stem as a PNG: light on dark, transparent where nothing is to be heard.

Read in short windows, so that memory does not grow with the song, and at most so many of them that
three hours take little longer than three minutes.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.web import mixing
from xumx_jax.web.jobs import Result

WIDTHS, HEIGHTS = (16, 4096), (16, 1024)  # that may be asked for
MOST_KEPT = 24  # pictures of a job
LOWEST_HZ, HIGHEST_HZ = 40.0, 20_000.0
_WINDOW_SECONDS = 0.09  # rounded to a power of two
_MOST_WINDOWS = 8  # of a column
_SAMPLES = 1 << 20  # that are held at once
_RANGE_DB = 72.0  # from transparent to the brightest
_QUIET_DB = -60.0  # what is below it is not made brighter, full scale being 0
_LEVELS = 64  # colours: more make files larger, and no eye tells them apart
# level, red, green, blue, opacity: ever lighter, from violet over red to yellow
_COLOURS = np.array([
    (0.00, 40, 30, 110, 0),
    (0.25, 92, 44, 150, 150),
    (0.50, 190, 60, 120, 235),
    (0.75, 245, 135, 65, 255),
    (1.00, 255, 246, 196, 255),
])  # fmt: skip


def picture(
    folder: Path,
    result: Result,
    stem: str,
    width: int,
    height: int,
    check: Callable[[], object] = lambda: None,
) -> Path:
    """Return the picture of a stem, which is made unless it is there, and kept.

    `check`, and errors, are as for `mixing.encoded`.
    """
    path = folder / f"{stem}.{width}x{height}.png"

    def make():
        db = decibels(folder / f"{stem}.f32", result, width, height, check)
        files.write(path, png(db))
        others = [(one.stat().st_mtime, one) for one in folder.glob("*.*x*.png") if one != path]
        for _, old in sorted(others)[: max(0, len(others) + 1 - MOST_KEPT)]:
            files.remove_quietly(old)

    return mixing.kept(folder, result, path, make)


def decibels(path: Path, result: Result, width: int, height: int, check) -> np.ndarray:
    """Read a stem's floats -> its level in dB, [bin, column], the highest frequency first.

    Full scale of a sine is 0. Bins are equally wide in octaves; of several windows of a column, and
    of channels, it is their mean power.
    """
    size = 1 << round(np.log2(max(2, _WINDOW_SECONDS * result.rate)))
    window = np.hanning(size + 1)[:size].astype(np.float32)
    step = result.frames / width  # frames of a column
    each = int(np.clip(np.ceil(step / (size / 2)), 1, _MOST_WINDOWS))
    centres = step * (np.arange(width)[:, None] + (np.arange(each) + 0.5) / each)
    starts = np.floor(centres).astype(np.int64) - size // 2  # [column, window]
    low, high = _edges(result.rate, size, height)
    levels = np.zeros((height, width))
    with path.open("rb") as file:
        columns = max(1, _SAMPLES // (size * each * result.channels))
        for at in range(0, width, columns):
            check()
            part = starts[at : at + columns]
            sound = np.stack([_read(file, start, size, result) for start in part.ravel()])
            # [column * window, frame, channel] -> [column * window, bin, channel]
            spectra = np.abs(np.fft.rfft(sound * window[:, None], axis=1)) ** 2
            power = spectra.reshape(*part.shape, *spectra.shape[1:]).mean(axis=(1, 3))
            sums = np.pad(power.cumsum(axis=1), ((0, 0), (1, 0)))  # [column, bin + 1]
            means = (_at(sums, high) - _at(sums, low)) / (high - low)[:, None]
            levels[:, at : at + len(part)] = means
    return 10 * np.log10(np.maximum(levels * (2 / window.sum()) ** 2, 1e-20))


def _edges(rate, size, height):
    """Where each row begins and ends, counted in bins of the spectrum, the highest first."""
    highest = min(HIGHEST_HZ, rate / 2)
    edges = np.geomspace(highest, min(LOWEST_HZ, highest / 2), height + 1) * size / rate
    middle, half = (edges[:-1] + edges[1:]) / 2, (edges[:-1] - edges[1:]) / 2
    half = np.maximum(half, 0.5)  # of what lies between two bins, both have a part
    # bin k reaches from k to k + 1 in sums of bins
    return middle - half + 0.5, np.minimum(middle + half + 0.5, size // 2 + 1)


def _at(sums, places):
    """Sums of bins [column, bin + 1] up to places between them -> [place, column]."""
    below = np.minimum(places.astype(int), sums.shape[1] - 2)
    return (sums[:, below] + (places - below) * (sums[:, below + 1] - sums[:, below])).T


def _read(file, start, size, result):
    """Some frames of a stem, [frame, channel], with silence before its beginning and its end."""
    first, end = max(0, start), min(result.frames, start + size)
    made = np.zeros((size, result.channels), np.float32)
    if first < end:
        bytes = 4 * result.channels * (end - first)
        file.seek(4 * result.channels * first)
        data = file.read(bytes)
        if len(data) < bytes:
            raise UserError(f"{Path(file.name).name}: ends before the song does")
        made[first - start : end - start] = np.frombuffer(data, "<f4").reshape(-1, result.channels)
    return made


def png(db: np.ndarray) -> bytes:
    """A picture of levels in dB, [row, column], of which the loudest are the brightest.

    PNG 1.2, with a palette whose colours have an opacity.
    """
    top = max(float(np.percentile(db, 99.9)), _QUIET_DB)
    shares = np.clip(1 + (db - top) / _RANGE_DB, 0, 1)
    indices = np.rint(shares * (_LEVELS - 1)).astype(np.uint8)
    levels = np.linspace(0, 1, _LEVELS)
    columns = [np.interp(levels, _COLOURS[:, 0], _COLOURS[:, one]) for one in range(1, 5)]
    colours = np.rint(np.stack(columns, axis=1)).astype(np.uint8)
    height, width = db.shape
    rows = np.pad(indices, ((0, 0), (1, 0)))  # before each row its filter, which is none
    return b"".join([
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", colours[:, :3].tobytes()),
        _chunk(b"tRNS", colours[:, 3].tobytes()),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
        _chunk(b"IEND", b""),
    ])  # fmt: skip


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
