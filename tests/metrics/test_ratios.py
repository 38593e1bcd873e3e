"""Energy ratios: by hand, and as museval gives them."""

import museval_oracle
import numpy as np
import pytest

from xumx_jax.metrics import energy_ratio, sdr_frames, si_sdr, whole_track

RATE = 10


def ones(frames):
    """One source, one channel, a constant value in each second."""
    return np.repeat(np.asarray(frames, float), RATE)[None, None]


def test_known_answers():
    frames = sdr_frames(ones([1, 1, 1, 1]), ones([0.5, 0.9, 1, 2]), RATE)
    np.testing.assert_allclose(frames, [[10 * np.log10(4), 20, np.inf, 0]], atol=1e-9)


def test_one_silent_source_silences_the_frame_for_all():
    reference = np.concatenate([ones([1, 1, 0]), ones([1, 1, 1])])
    estimate = np.concatenate([ones([0.9, 0.9, 1]), ones([0.9, 0, 1])])
    frames = sdr_frames(reference, estimate, RATE)
    np.testing.assert_allclose(frames, [[20, np.nan, np.nan]] * 2)


def test_channels_count_together_and_opposite_ones_as_silence():
    reference = np.concatenate([ones([1]), ones([3])], 1)
    estimate = np.concatenate([ones([0]), ones([3])], 1)
    np.testing.assert_allclose(sdr_frames(reference, estimate, RATE), [[10]])
    opposite = np.concatenate([ones([1]), ones([-1])], 1)
    assert np.isnan(sdr_frames(opposite, estimate, RATE)).all()


@pytest.mark.parametrize(
    "length, hop_seconds, wanted",
    [(4, 1, 1), (10, 1, 1), (25, 1, 2), (25, 0.5, 4), (30, 1, 3), (45, 2, 2), (9, 0.5, 1)],
)
def test_only_whole_windows_count_unless_there_is_none(length, hop_seconds, wanted):
    wave = np.ones((1, 1, length))
    assert sdr_frames(wave, wave, RATE, hop_seconds=hop_seconds).shape == (1, wanted)


def test_no_overflow_or_warning_for_integers():
    reference = np.full((1, 2, RATE), 30000, np.int16)
    np.testing.assert_allclose(sdr_frames(reference, reference // 2, RATE), 10 * np.log10(4))


@pytest.mark.slow
def test_what_is_read_in_parts_is_what_is_there_as_a_whole():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((2, 2, 300_000)).astype(np.float32)
    estimate = reference + 0.1 * rng.standard_normal(reference.shape).astype(np.float32)
    error = reference.astype(float) - estimate
    wanted = [
        10 * np.log10(np.sum(r.astype(float) ** 2, (0, 2)) / np.sum(e**2, (0, 2)))
        for r, e in zip(
            *(w.reshape(2, 2, 30, 10_000).transpose(2, 1, 0, 3) for w in (reference, error)),
            strict=True,
        )
    ]
    frames = sdr_frames(reference, estimate, 10_000)
    np.testing.assert_allclose(frames.T, wanted, atol=1e-9)
    whole = whole_track(reference, estimate)
    np.testing.assert_allclose(whole["uSDR"], energy_ratio(estimate, reference), atol=1e-3)
    np.testing.assert_allclose(whole["SI-SDR"], si_sdr(estimate, reference), atol=1e-3)


@pytest.mark.parametrize(
    "reference, estimate, message",
    [
        (ones([1]), ones([1, 1]), r"references \(1, 1, 10\) and estimates \(1, 1, 20\) differ"),
        (np.ones((2, 20)), np.ones((2, 20)), r"\(2, 20\); wanted \[source, channel, time\]"),
        (np.ones((1, 2, 0)), np.ones((1, 2, 0)), r"\(1, 2, 0\); wanted"),
    ],
)
def test_shapes_that_cannot_be_compared(reference, estimate, message):
    for compare in (lambda r, e: sdr_frames(r, e, RATE), whole_track):
        with pytest.raises(ValueError, match=message):
            compare(reference, estimate)


def test_window_of_no_sample():
    with pytest.raises(ValueError, match="hop 0.01 s: shorter than one sample"):
        sdr_frames(ones([1]), ones([1]), RATE, hop_seconds=0.01)


def test_si_sdr_does_not_ask_for_the_gain():
    rng = np.random.default_rng(1)
    reference = rng.standard_normal((2, 1000)).astype(np.float32)
    other = rng.standard_normal((2, 1000)).astype(np.float32)
    other -= reference * np.sum(other * reference) / np.sum(reference**2)
    other *= 0.1 * np.linalg.norm(reference) / np.linalg.norm(other)
    for gain in (0.1, 1, 3):
        assert si_sdr(gain * (reference + other), reference) == pytest.approx(20, abs=1e-3)
    np.testing.assert_allclose(si_sdr(np.zeros((2, 9)), np.zeros((2, 9))), 0, atol=1e-6)


def test_energy_ratio_by_hand():
    reference = np.full((3, 2, 100), 0.5, np.float32)
    estimate = reference * np.array([1.1, 0, 1], np.float32)[:, None, None]
    found = energy_ratio(estimate, reference)
    np.testing.assert_allclose(found, [20, 0, 10 * np.log10(50 / 1e-7)], atol=1e-2)


def test_as_museval_gives_it():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((2, 2, 3000)) * np.linspace(0.1, 1, 3000)
    estimate = 0.7 * reference + 0.3 * reference[::-1] + 0.05 * rng.standard_normal((2, 2, 3000))
    museval = museval_oracle.load()
    swapped = (w.transpose(0, 2, 1) for w in (reference, estimate))
    wanted = museval.metrics.bss_eval(*swapped, window=1000, hop=1000, filters_len=4)[0]
    np.testing.assert_allclose(sdr_frames(reference, estimate, 1000), wanted, atol=1e-9)
