"""Mean and deviation of the encoder's input over a training set."""

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

FRAMES = 512  # per block: any track length compiles once


def moments(model: nn.Module, mixes: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation [bin or band] of the model's features over whole mixes [channel, time].

    Channels are averaged first, as in the originals; the deviation is the population's, in float64,
    and no less than 1e-4 of the largest, so that an empty bin is not blown up.
    """
    stft = model.transform

    @jax.jit
    def features(padded):
        pieces = stft.cut(padded, FRAMES) * stft.window(padded.dtype)
        magnitudes = jnp.abs(jnp.fft.rfft(pieces, axis=-1))
        return model.apply({}, magnitudes[None], method="features")[0].mean(0)

    frames, mean, spread = 0, 0.0, 0.0
    for mix in mixes:
        for block, count in blocks(mix, stft):
            x = np.asarray(features(block)[:count], np.float64)
            # join two sets of frames: Chan, Golub and LeVeque 1979
            total = frames + count
            delta = x.mean(0) - mean
            spread = spread + x.var(0) * count + delta**2 * (frames * count / total)
            mean = mean + delta * (count / total)
            frames = total
    if frames == 0:
        raise ValueError("no mixture to take statistics of")
    deviation = np.sqrt(spread / frames)
    return mean, np.maximum(deviation, 1e-4 * deviation.max())


def blocks(mix: np.ndarray, stft) -> Iterator[tuple[np.ndarray, int]]:
    """Cut a mix [channel, time] into what FRAMES frames see, with how many of these are the mix's.

    Together they are the frames of `stft.forward` of the whole.
    """
    half = stft.n_fft // 2
    mode = "reflect" if mix.shape[-1] else "constant"
    padded = np.pad(mix, [(0, 0), (half, half)], mode=mode)
    samples = (FRAMES - 1) * stft.hop + stft.n_fft
    frames = stft.frames(mix.shape[-1])
    for first in range(0, frames, FRAMES):
        block = padded[:, first * stft.hop :][:, :samples]
        yield (
            np.pad(block, [(0, 0), (0, samples - block.shape[-1])]),
            min(FRAMES, frames - first),
        )


def cached_moments(
    model: nn.Module, mixes: Callable[[], Iterable[np.ndarray]], digest: str, folder: Path
) -> tuple[np.ndarray, np.ndarray, bool]:
    """`moments`, kept in `folder` under a digest of the data and of what the model makes of them.

    Returns mean, deviation, and whether they were there already. A file that can't be read is made
    again.
    """
    kind = {
        name: getattr(model, name)
        for name in ("n_fft", "hop", "sample_rate", "bandwidth_hz", "max_bin", "power", "bands")
    }
    name = hashlib.sha256(json.dumps([digest, kind]).encode()).hexdigest()
    path = folder / f"{name[:32]}.npz"
    try:
        with np.load(path) as stored:
            return stored["mean"], stored["deviation"], True
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    mean, deviation = moments(model, mixes())
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, mean=mean, deviation=deviation)
        partial.replace(path)
    except OSError:  # no place to keep them: only slower next time
        with contextlib.suppress(OSError):  # nor to remove anything from
            partial.unlink()
    return mean, deviation, False


def apply_moments(params: dict, mean: np.ndarray, deviation: np.ndarray) -> dict:
    """Put statistics into all sources' encoders: minus the mean and one over the deviation."""
    enc = params["enc"]
    filled = {
        "mean": jnp.broadcast_to(jnp.asarray(-mean, jnp.float32), enc["mean"].shape),
        "scale": jnp.broadcast_to(jnp.asarray(1 / deviation, jnp.float32), enc["scale"].shape),
    }
    return params | {"enc": enc | filled}
