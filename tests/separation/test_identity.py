"""A mask of ones rebuilds the input to 1e-6, whichever way it takes through a Separator."""

import jax
import numpy as np
import pytest
from tiny_models import cut, stack, tiny

from xumx_jax.separation.separator import Separator

PUBLISHED = dict(n_fft=4096, hop=1024, sample_rate=44100, bandwidth_hz=16000.0)


def ones(**arguments):
    """A model whose decoder gives 1 for every bin, whatever it hears."""
    module, variables = tiny(**arguments)

    def flatten(path, leaf):
        names = [part.key for part in path]
        if "dec" not in names:
            return leaf
        offset = names[-1] == "mean" and names[0] == "params"
        return (
            np.ones_like(leaf) if offset or names[-1] in ("scale", "var") else np.zeros_like(leaf)
        )

    return module, jax.tree_util.tree_map_with_path(flatten, variables)


def loud(time, seed=0):
    """Full-scale [2, time]: clicks, noise, and a silent stretch."""
    mix = np.random.default_rng(seed).uniform(-1, 1, (2, time)).astype(np.float32)
    mix[:, time // 3 : time // 2] = 0
    mix[0, :: max(1, time // 7)] = 1
    return mix


WAYS = {
    "whole": {},
    "segments": {"chunk_seconds": 1.5, "overlap": 0.25},
    "chunks": {"chunk_seconds": 0.9, "batch": 3},
    "chunks that butt": {"chunk_seconds": 0.9, "overlap": 0},
    "shifts": {"shifts": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "arguments"),
    [*((way, PUBLISHED) for way in WAYS), ("whole", {"n_fft": 512, "hop": 64, "channels": 1})],
)
def test_a_mask_of_ones_rebuilds_the_mixture(way, arguments):
    separator = Separator(*ones(**arguments), niter=0, **WAYS[way])
    rate = separator.rate
    for seconds in (0.02, 1.9, 14.0) if way == "segments" else (0.02, 2.9):
        mix = loud(int(seconds * rate))
        stems = stack(separator(mix, rate))
        assert stems.shape == (4, *mix.shape)
        assert np.abs(stems - mix).max() <= 1e-6
        blocks = cut(mix, (1, 700, 30011))
        streamed = np.concatenate([stack(b) for b in separator.stream(blocks, rate)], axis=-1)
        assert np.abs(streamed - mix).max() <= 1e-6
