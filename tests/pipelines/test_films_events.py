"""What is drawn about the clips of a mixture: counts, places, shares."""

import math

import numpy as np
import pytest

from pipelines.films import events, work


@pytest.mark.parametrize("kind", events.CLASSES)
def test_counts_are_poisson_without_zero(kind):
    """Their mean is that of the Poisson distribution, divided by the share that is not 0."""
    counts = [events.count_of(kind, (n + 0.5) / 20_000) for n in range(20_000)]
    mean = events.COUNTS[kind]
    assert np.mean(counts) == pytest.approx(mean / (1 - math.exp(-mean)), rel=1e-3)
    assert min(counts) == 1 == events.count_of(kind, 0.0)
    assert max(counts) <= events.count_of(kind, np.nextafter(1, 0)) < 60


def test_starts_are_skew_normal():
    """Azzalini's mean, delta sqrt(2 / pi), and variance, 1 - 2 delta^2 / pi; within 4 errors."""
    pairs = np.random.default_rng(0).standard_normal((40_000, 2))
    drawn = np.array([events.skew_normal(events.SKEW, *pair) for pair in pairs])
    delta = events.SKEW / math.sqrt(1 + events.SKEW**2)
    assert drawn.mean() == pytest.approx(delta * math.sqrt(2 / math.pi), abs=4 / 200)
    assert drawn.var() == pytest.approx(1 - 2 * delta**2 / math.pi, abs=0.02)


@pytest.mark.parametrize("kind", events.CLASSES)
def test_clips_lie_within_the_mixture_and_do_not_overlap(kind):
    rng, rate, samples = np.random.default_rng(0), 100, 6000
    seen = 0
    for _ in range(300):
        end, length = int(rng.integers(0, samples + 1)), int(rng.integers(1, 9000))
        found = events.place(kind, length, end, samples, rate, rng.standard_normal(3), rng.random())
        if found is None:
            assert samples - end <= max(length, 0.3 * samples, 2 * rate)
            continue
        seen += 1
        assert end <= found.start and found.end <= samples
        assert 0 <= found.offset and found.offset + found.samples <= length
        if kind == events.SPEECH:
            assert found.samples == min(length, 4200), "whole, or cut at 70 %"
            assert found.fade == (300 if length >= 4200 else 0)
        else:
            assert found.samples >= min(length, 10) and found.fade == 0
    assert seen > 50


def test_splits_get_their_shares():
    assert work.counts_of(1000) == {"tr": 700, "cv": 100, "tt": 200}
    for mixtures in range(1, 30):
        counts = work.counts_of(mixtures)
        assert sum(counts.values()) == mixtures and min(counts.values()) >= 0
