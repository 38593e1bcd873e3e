"""The registry of post filters and how one is applied to a model's estimate."""

import numpy as np
import pytest

from xumx_jax import postfilters
from xumx_jax.postfilters import POST_FILTERS, PostFilter
from xumx_jax.stems import Stems


def test_every_filter_sets_options_that_it_takes():
    for known in POST_FILTERS.values():
        assert set(known.options) <= known.arguments


@pytest.mark.parametrize(("frames", "wanted"), [(None, [[48], [12]]), (20, [[20, 8], [5, 2]])])
def test_windows_of_all_blocks_last_equally_long(monkeypatch, frames, wanted):
    """Two blocks of the same 48 hops, the second in a fourth of the frames; the rest is shorter."""
    seen = []

    def watch(estimate, mix):
        seen.append(mix.shape[-1])
        return estimate.astype(np.complex64)

    monkeypatch.setitem(POST_FILTERS, "watch", PostFilter(watch))
    blocks = tuple(np.ones((2, 5, frames), np.complex64) for frames in (48, 12))
    estimate = Stems(np.zeros((1, 2, 9)), tuple(block[None] for block in blocks))
    found = postfilters.apply("watch", estimate, blocks, frames=frames)
    assert [block.shape for block in found] == [(1, 2, 5, 48), (1, 2, 5, 12)]
    assert seen == [size for sizes in wanted for size in sizes]
