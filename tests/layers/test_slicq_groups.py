"""Packing bands of a sliCQ, and unpacking them."""

import jax
import numpy as np
import pytest

from xumx_jax.layers.slicq_groups import by_size, groups_of, packed, unpacked
from xumx_jax.transforms.slicq import SliCQ

pytestmark = pytest.mark.usefixtures("quick_compile")
PLANS = {
    "bark": SliCQ("bark", 24, 300.0, sample_rate=8000),
    "sizes that fall": SliCQ("vqlog", 24, 60.0, gamma_hz=40.0, sample_rate=8000),
    "one size": SliCQ("linear", 12, 300.0, sample_rate=8000, matrix=True),
}


def values_of(plan, slices=3):
    """Each value is unlike any other."""
    shape = (2, slices, plan.coefficients)
    return np.arange(np.prod(shape)).reshape(shape).astype(np.float32) + 1


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("ratio", [1.0, 2.0, 100.0])
def test_packed_bands_are_unpacked(name, ratio):
    plan = PLANS[name]
    values = values_of(plan)
    groups = groups_of(plan, by_size(plan, range(len(plan.blocks))), ratio)
    assert sorted(band for group in groups for band in group.bands) == list(range(plan.bands))
    for group in groups:
        assert max(group.sizes) <= max(1.0, ratio) * min(group.sizes) + 1e-6

    def both(values):
        parts = [packed(values, group) for group in groups]
        return parts, unpacked(plan, groups, parts)

    parts, back = jax.jit(both)(values)
    np.testing.assert_array_equal(back, values)
    blocks = plan.split(values)
    for group, part in zip(groups, parts, strict=True):
        assert part.shape == (len(group.bands), 2, 6, group.half)
        for band, row in zip(group.bands, part, strict=True):
            number = max(n for n, block in enumerate(plan.blocks) if block.first <= band)
            block = plan.blocks[number]
            wanted = np.reshape(blocks[number][:, band - block.first], (2, 6, block.size // 2))
            np.testing.assert_array_equal(row[..., : block.size // 2], wanted)
            assert not np.any(row[..., block.size // 2 :])


def test_a_block_keeps_its_number():
    plan = PLANS["bark"]
    order = by_size(plan, range(len(plan.blocks)))
    for group in groups_of(plan, order):
        for band, number, size in zip(group.bands, group.blocks, group.sizes, strict=True):
            block = plan.blocks[order[number]]
            assert block.size == size and block.first <= band < block.first + block.bands
