"""Sizes of the levels of Hybrid Demucs, against those of its published networks."""

import numpy as np
import pytest

from xumx_jax.layers.hybrid_levels import levels_of
from xumx_jax.layers.unet import cropped, padded, total
from xumx_jax.models import build


def levels(**options):
    return levels_of(build("hdemucs", **options))


def test_sizes_of_the_published_network():
    found = levels()
    assert [level.features for level in found] == [48, 96, 192, 384, 768, 1536]
    assert [level.back for level in found] == [16, 48, 96, 192, 384, 768]
    assert [level.wave_back for level in found] == [8, 48, 96, 192, 384, 768]
    assert [level.merges for level in found] == [False] * 4 + [True, False]
    assert [level.has_wave for level in found] == [True] * 5 + [False]
    # 2048 bins become 512, 128, 32, 8, and all of these one; behind it are strides of time
    steps = [(level.options.taps, level.options.stride) for level in found]
    assert steps == [(8, 4)] * 5 + [(4, 2)]
    assert [level.padding for level in found] == [2, 2, 2, 2, 0, 1]
    assert [level.options.spectral for level in found] == [True] * 5 + [False]
    # the waveform branch has as many strides as there are samples in a hop
    assert np.prod([level.wave.stride for level in found[:5]]) == 1024
    assert [level.options.groups for level in found] == [0, 0, 0, 0, 4, 4]


@pytest.mark.parametrize(("n_fft", "merger", "bins", "stride"), [
    (4096, 4, 8, 4), (2048, 4, 4, 2), (64, 1, 8, 4), (32, 1, 4, 2),
])  # fmt: skip
def test_the_merger_takes_all_bins_and_a_hop(n_fft, merger, bins, stride):
    found = levels(n_fft=n_fft)
    assert [level.merges for level in found].index(True) == merger
    assert found[merger].options.taps == bins
    assert (found[merger].wave.taps, found[merger].wave.stride) == (2 * stride, stride)
    strides = [level.wave.stride for level in found[: merger + 1]]
    assert np.prod(strides) == n_fft // 4


def test_waveforms_may_have_their_own_width_until_they_merge():
    found = levels(width=16, width_time=24, n_fft=64, depth=3)
    assert [level.features for level in found] == [16, 48, 96]
    assert [level.wave_features for level in found][:2] == [24, 48]
    assert [level.back for level in found] == [16, 16, 48]
    assert [level.wave_back for level in found][:2] == [8, 24]


def test_bands_and_magnitudes():
    found = levels(multi_freqs=(0.5,), multi_freqs_depth=2, complex_channels=False)
    assert [level.multi for level in found] == [True, True, False, False, False, False]
    assert found[0].back == found[0].wave_back == 8


def test_a_network_that_ends_before_its_branches_can_merge():
    found = levels(depth=2)
    assert not any(level.merges for level in found) and all(level.has_wave for level in found)


def test_pieces_of_columns():
    x = np.arange(6.0, dtype=np.float32).reshape(1, 1, 6, 1)
    assert cropped(x, 2, 3).ravel().tolist() == [2, 3, 4]
    assert padded(x, 4).ravel().tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    assert padded(x, 3) is x
    assert total(None, x) is x and total(x, None) is x
    np.testing.assert_array_equal(total(x, x), 2 * x)
