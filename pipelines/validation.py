"""Validation data: the same pieces of the same tracks every time, with the real mixture."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.loader import own_slice
from xumx_jax.training.batches import Pieces


class Piece(NamedTuple):
    """One row of a batch: a number of samples of a track, and their weight in the mean."""

    track: int
    start: int
    weight: float


def pieces(
    tracks, samples: int, batch: int = 1, *, process_index: int = 0, process_count: int = 1
) -> Iterator[Pieces]:
    """Cut whole tracks into pieces of `samples`, the last of which ends with its track.

    The last piece overlaps the one before, and its weight is the share that the others have not
    covered. The weights of a track add up to 1, so a weighted mean is the mean over tracks of each
    track's mean, as in the reference. A track shorter than a piece is one piece, followed by
    silence. `samples` 0 or less: every track is one piece, in a separate batch. Unused rows are
    silence (or, beside a whole track, copies) with weight 0. Each of `process_count` hosts gets its
    slice of a batch.
    """
    own = own_slice(batch, process_index, process_count)
    for rows, length in _batches(tracks, samples, batch):
        rows = rows[own]
        shape = (len(rows), len(tracks.sources), length, tracks.channels)
        stems, mix = np.zeros(shape, np.float32), np.zeros((len(rows), *shape[2:]), np.float32)
        for row, piece in enumerate(rows):
            if piece is not None:
                for source in range(len(tracks.sources)):
                    tracks.read_into(source, piece.track, piece.start, stems[row, source])
                tracks.mixture_into(piece.track, piece.start, mix[row])
        yield _pieces(stems, mix, [piece.weight if piece else 0 for piece in rows])


def cut(length: int, samples: int) -> list[tuple[int, float]]:
    """The starts and weights of the pieces of one track."""
    count, rest = divmod(length, samples)
    found = [(piece * samples, samples / length) for piece in range(count)]
    if rest:
        found.append((max(0, length - samples), rest / length))
    return found


def _batches(tracks, samples, batch) -> Iterator[tuple[list[Piece | None], int]]:
    lengths = [(track, length) for track, length in enumerate(tracks.track_lengths) if length]
    if samples <= 0:
        for track, length in lengths:
            copies = [Piece(track, 0, 0.0)] * (batch - 1)
            yield [Piece(track, 0, 1.0), *copies], length
        return
    rows = [Piece(track, *piece) for track, length in lengths for piece in cut(length, samples)]
    rows += [None] * (-len(rows) % batch)
    for start in range(0, len(rows), batch):
        yield rows[start : start + batch], samples


def _pieces(stems, mix, weight) -> Pieces:
    # [..., time, channel] -> [..., channel, time]
    stems, mix = stems.swapaxes(-1, -2), mix.swapaxes(-1, -2)
    return Pieces(stems, mix, np.asarray(weight, np.float32))
