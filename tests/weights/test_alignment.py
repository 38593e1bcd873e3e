"""Weights lie where a CPU can use them, so that they are in memory once."""

import jax
import numpy as np
import pytest

from xumx_jax import assets
from xumx_jax.weights.alignment import align, is_aligned
from xumx_jax.weights.load import load_bag


@pytest.mark.parametrize("offset", [0, 4, 60])
@pytest.mark.parametrize("shape", [(3, 5), (0,), ()])
def test_arrays_keep_their_values(offset, shape):
    room = np.zeros(256, np.uint8)[offset:]
    size = 4 * int(np.prod(shape))
    array = room[:size].view(np.float32).reshape(shape)
    array[...] = np.arange(array.size).reshape(shape)
    tree = {"a": {"b": array, "turned": array.T}, "kept": [array]}
    align(tree)
    for found, wanted in ((tree["a"]["b"], array), (tree["a"]["turned"], array.T)):
        assert is_aligned(found) and found.dtype == np.float32 and found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
    once = tree["a"]["b"]
    align(tree)
    assert tree["a"]["b"] is once and tree["kept"][0] is array


def test_a_cpu_uses_loaded_weights_as_they_are():
    cpu = jax.local_devices(backend="cpu")[0]
    for leaf in jax.tree.leaves(load_bag(assets.DEMO).only.variables):
        assert np.asarray(jax.device_put(leaf, cpu)).ctypes.data == leaf.ctypes.data
