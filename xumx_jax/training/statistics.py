"""Mean and deviation of a model's input over a training set."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from xumx_jax import files
from xumx_jax.errors import UserError
from xumx_jax.models.interface import InputStatistics

Moments = tuple[tuple[np.ndarray, np.ndarray], ...]


def moments(statistics: InputStatistics, mixes: Iterable[np.ndarray]) -> Moments:
    """Mean and deviation [feature] of a model's input over whole mixes [channel, time], by block.

    The deviation is the population's, in float64, and no less than 1e-4 of its block's largest, so
    that an empty bin is not blown up. Raises UserError if all mixes are silent.
    """
    sums: list = []
    for mix in mixes:
        for piece, count in statistics.pieces(mix):
            blocks = statistics.features(piece)
            sums = sums or [(0, 0.0, 0.0)] * len(blocks)
            counts = count if isinstance(count, tuple) else (count,) * len(blocks)
            sums = [
                joined(*so_far, x[:n]) for so_far, x, n in zip(sums, blocks, counts, strict=True)
            ]
    if not sums:
        raise ValueError("no mixture to take statistics of")
    deviations = [np.sqrt(spread / frames) for frames, _, spread in sums]
    if not all(deviation.max() > 0 for deviation in deviations):
        raise UserError("the training mixtures are all silent, or the same throughout")
    return tuple(
        (mean, np.maximum(deviation, 1e-4 * deviation.max()))
        for (_, mean, _), deviation in zip(sums, deviations, strict=True)
    )


def joined(frames, mean, spread, block) -> tuple:
    """Combine count, mean and summed squares of the frames so far with a block [frame, feature].

    Chan, Golub and LeVeque 1979.
    """
    x = np.asarray(block, np.float64)
    count = len(x)
    total = frames + count
    delta = x.mean(0) - mean
    spread = spread + x.var(0) * count + delta**2 * (frames * count / total)
    return total, mean + delta * (count / total), spread


def cached_moments(
    statistics: InputStatistics,
    mixes: Callable[[], Iterable[np.ndarray]],
    digest: str,
    folder: Path,
) -> tuple[Moments, bool]:
    """`moments`, cached in `folder` under a digest of the data and of the model's features.

    Also returns whether they were already there. A file that cannot be read is made again.
    """
    name = files.digest_of([json.dumps([digest, statistics.key])])  # keys in the model's order
    path = folder / f"{name[:32]}.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes())) as stored:
            endings = [key.removeprefix("mean") for key in stored if key.startswith("mean")]
            return tuple((stored[f"mean{e}"], stored[f"deviation{e}"]) for e in endings), True
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    found, arrays = moments(statistics, mixes()), {}
    for block, (mean, deviation) in enumerate(found):
        ending = f"_{block}" if block else ""
        arrays |= {f"mean{ending}": mean, f"deviation{ending}": deviation}
    content = io.BytesIO()
    np.savez(content, **arrays)
    with contextlib.suppress(OSError):  # no place to keep them: only slower next time
        with files.replacing(path, durable=False) as partial:
            partial.write_bytes(content.getvalue())
    return found, False
