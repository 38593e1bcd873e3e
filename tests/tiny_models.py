"""Tiny models with random weights, signals for them, and their stems as one array."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from xumx_jax.models import build

RATE = 8000
TINY = dict(hidden_size=8, n_fft=128, hop=32, sample_rate=RATE, bandwidth_hz=3000.0, layers=2)


def tiny(name="xumx", **arguments):
    """A model with every weight random, batch statistics included."""
    module = build(name, **TINY | arguments)
    empty = jnp.zeros((1, module.channels, 256))
    shapes = jax.eval_shape(module.init, jax.random.key(0), empty)  # computing it takes a second
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return np.float32(0.3) * rng.standard_normal(leaf.shape).astype(np.float32)

    return module, jax.tree_util.tree_map_with_path(draw, shapes)


MODEL = tiny()


def noise(time, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((channels, time)).astype(np.float32)


def stack(stems):
    return np.stack(list(stems.values()))


def cut(mix, sizes):
    """Blocks of these sizes, over and over."""
    at, sizes = 0, itertools.cycle(sizes)
    while at < mix.shape[1]:
        size = next(sizes)
        yield mix[:, at : at + size]
        at += size


def samples_held(separator, rate: int = RATE) -> list[int]:
    """Stream 60 blocks of 500 samples -> how many were read and not yet given, at each block."""
    read = given = 0

    def blocks():
        nonlocal read
        for _ in range(60):
            read += 500
            yield noise(500)

    held = []
    for block in separator.stream(blocks(), rate):
        given += stack(block).shape[-1]
        held.append(read - given)
    assert given == read == 30000
    return held
