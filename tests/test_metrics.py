"""SDR in frames: by hand, and as museval gives it."""

import numpy as np
import pytest

from xumx_jax.metrics import framewise_sdr, score

RATE = 10


def ones(frames):
    return np.repeat(np.asarray(frames, float), RATE)[None]


def test_known_answers():
    reference = ones([1, 1, 1, 1])
    estimate = ones([0, 0.9, 1, 2])
    frames = framewise_sdr(estimate, reference, RATE)
    np.testing.assert_allclose(frames, [0, 20, np.inf, 0], atol=1e-9)


def test_frame_with_silent_reference_has_no_score():
    frames = framewise_sdr(ones([0, 1, 0]), ones([0, 0, 1]), RATE)
    np.testing.assert_array_equal(frames, [np.nan, np.nan, 0])


def test_channels_count_together_and_leading_axes_apart():
    reference = np.stack([np.concatenate([ones([1]), ones([3])]), np.ones((2, RATE))])
    estimate = reference.copy()
    estimate[0, 0] = 0  # one tenth of the energy is lost
    frames = framewise_sdr(estimate, reference, RATE)
    np.testing.assert_allclose(frames, [[10], [np.inf]])


@pytest.mark.parametrize(
    "length, hop_seconds, wanted", [(4, 1, 1), (10, 1, 1), (25, 1, 2), (25, 0.5, 4), (30, 1, 3)]
)
def test_only_whole_windows_count_unless_there_is_none(length, hop_seconds, wanted):
    wave = np.ones((1, length))
    assert framewise_sdr(wave, wave, RATE, 1.0, hop_seconds).shape == (wanted,)


def test_no_overflow_or_warning_for_integers_and_float32():
    frames = framewise_sdr(np.zeros((1, RATE), np.int16), np.full((1, RATE), 30000, np.int16), RATE)
    np.testing.assert_allclose(frames, [0])


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 10\).*\(1, 20\)"):
        framewise_sdr(ones([1]), ones([1, 1]), RATE)


def test_as_museval_gives_it():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((2, 2, 3000)) * np.linspace(0.1, 1, 3000)
    estimate = 0.7 * reference + 0.3 * reference[::-1] + 0.05 * rng.standard_normal((2, 2, 3000))
    np.testing.assert_allclose(framewise_sdr(estimate, reference, 1000), MUSEVAL, rtol=1e-9)


def test_score_is_the_median_of_the_frames_that_sound():
    reference = {"a": ones([1, 1, 1, 0]), "b": ones([0, 0, 0, 0])}
    estimate = {"a": ones([0, 0.9, 0.99, 5]), "b": ones([1, 0, 0, 0])}
    result = score(estimate, reference, RATE)
    assert result["a"] == pytest.approx(20)
    assert np.isnan(result["b"])


# museval 0.4.1, bss_eval(window=1000, hop=1000): one row per source
MUSEVAL = [
    [6.522662495787542, 7.080141242406731, 7.570616858530753],
    [6.885812823398342, 7.241624754235552, 7.600723256597121],
]
