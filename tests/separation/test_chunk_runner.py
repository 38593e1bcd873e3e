"""Code for chunks: compiled once for each shape, and its leftovers given back."""

import jax
import numpy as np

from xumx_jax.separation import chunk_runner


def test_what_compiling_leaves_is_given_back_before_a_shape_first_runs(monkeypatch):
    events = []
    monkeypatch.setattr(chunk_runner, "give_memory_back", lambda: events.append("given back"))

    def traced(tree, x, statistics):
        events.append("traced")
        return tree["a"] * x if statistics is None else tree["a"] * x - statistics

    run = chunk_runner.Compiled(jax.jit(traced))
    for length in (3, 4, 3):
        x = np.arange(length, dtype=np.float32)
        np.testing.assert_array_equal(run({"a": np.float32(2)}, x, None), 2 * x)
    assert events == ["traced", "given back"] * 2
    np.testing.assert_array_equal(run({"a": np.float32(2)}, x, np.float32(1)), 2 * x - 1)
    assert len(events) == 6
