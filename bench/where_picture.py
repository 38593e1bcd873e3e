"""The picture of `bench/where.py`: a part that goes where it belongs beside one that does not."""

import io

import numpy as np
from where_sounds import RATE

from xumx_jax.evaluation import spectrograms
from xumx_jax.transforms.slicq import SliCQ

N_FFT = 4096
SIZE = (900, 1080)  # pixels
COLOURS = 64  # in the palette of the file


def typical(rows: dict[str, dict]) -> dict[str, tuple[str, int]]:
    """Of the rows with most and with least in the right stem -> {"success": (row, mixture), ...}.

    The mixture is the one whose share is nearest the row's median. Rows of a part of the bins do
    not count.
    """
    right = {
        title: [row["percent"][row["source"]], *(one[row["index"]] for one in row["each"])]
        for title, row in rows.items()
        if "Hz" not in title
    }
    chosen = {
        "success": max(right, key=lambda title: right[title][0]),
        "failure": min(right, key=lambda title: right[title][0]),
    }
    found = {}
    for kind, title in chosen.items():
        each = np.array(right[title][1:])
        found[kind] = (title, int(np.abs(each - np.median(each)).argmin()))
    return found


def draw(columns: dict[str, dict[str, np.ndarray]]) -> bytes:
    """Draw {title: {name: wave [channel, time]}} as columns of spectrograms -> PNG.

    All columns have the same names, from top to bottom, and waves of one length at RATE.
    """
    from PIL import Image

    transform = SliCQ("bark", 262, 32.9, sample_rate=RATE)  # whose bands are the rows of a picture
    hz = spectrograms.edges_hz(transform)
    length = min(wave.shape[1] for waves in columns.values() for wave in waves.values())
    edges = np.linspace(0, length, SIZE[0] // len(columns) + 1)
    rows: dict[str, dict[str, np.ndarray]] = {}
    for title, waves in columns.items():
        for name, wave in waves.items():
            power = spectrograms.stft_power(wave[:, :length], RATE, N_FFT, hz, edges)
            rows.setdefault(name, {})[title] = power
    content = spectrograms.draw(rows, transform, (0.0, length / RATE), SIZE)
    small = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()
