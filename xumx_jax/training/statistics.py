"""Mean and deviation of the encoder's input over a training set."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn


def moments(model: nn.Module, mixes: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation [bin or band] of the model's features over whole mixes [channel, time].

    Channels are averaged first, as in the originals; the deviation is the population's, in float64,
    and no less than 1e-4 of the largest, so that an empty bin is not blown up.
    """

    @jax.jit
    def features(mix):
        magnitudes = jnp.abs(model.transform.forward_frames(mix[None]))
        return model.apply({}, magnitudes, method="features")[0].mean(0)

    frames, mean, spread = 0, 0.0, 0.0
    for mix in mixes:
        x = np.asarray(features(mix), np.float64)
        # join two sets of frames: Chan, Golub and LeVeque 1979
        total = frames + len(x)
        delta = x.mean(0) - mean
        spread = spread + x.var(0) * len(x) + delta**2 * (frames * len(x) / total)
        mean = mean + delta * (len(x) / total)
        frames = total
    if frames == 0:
        raise ValueError("no mixture to take statistics of")
    deviation = np.sqrt(spread / frames)
    return mean, np.maximum(deviation, 1e-4 * deviation.max())


def apply_moments(params: dict, mean: np.ndarray, deviation: np.ndarray) -> dict:
    """Put statistics into all sources' encoders: minus the mean and one over the deviation."""
    enc = params["enc"]
    filled = {
        "mean": jnp.broadcast_to(jnp.asarray(-mean, jnp.float32), enc["mean"].shape),
        "scale": jnp.broadcast_to(jnp.asarray(1 / deviation, jnp.float32), enc["scale"].shape),
    }
    return params | {"enc": enc | filled}
