"""Several models as one: weights, order of stems, streams."""

import numpy as np
import pytest
from tiny_models import MODEL, RATE, noise, stack, tiny

from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation.bag import Ensemble
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.streams import mean_of


def members():
    one = Separator(*MODEL, niter=0)
    other = Separator(
        *tiny(sources=("other", "vocals", "bass", "drums"), sample_rate=16000), chunk_seconds=0.1
    )
    return one, other


def test_stems_are_averaged_by_name_with_weights():
    one, other = members()
    ensemble = Ensemble([(one, 3), (other, 1)])
    assert ensemble.sources == one.sources and ensemble.rate == RATE
    mix = noise(5000)
    first, second, mean = one(mix, RATE), other(mix, RATE), ensemble(mix, RATE)
    assert list(mean) == list(first)
    for name in mean:
        np.testing.assert_allclose(mean[name], 0.75 * first[name] + 0.25 * second[name], atol=1e-6)
    streamed = np.concatenate(
        [stack(block) for block in ensemble.stream([mix[:, :700], mix[:, 700:]], RATE)], axis=-1
    )
    np.testing.assert_allclose(streamed, stack(mean), atol=2e-6)


def test_odd_mixtures_are_told_once():
    ensemble = Ensemble([(separator, 1) for separator in members()])
    mix = noise(900, channels=3)
    mix[0, 7] = np.nan
    with pytest.warns(UserWarning) as told:
        stems = ensemble(mix, RATE)
    assert [str(warning.message).split(":")[0] for warning in told] == [
        "the mixture has 3 channels",
        "1 samples are NaN or infinite and were replaced by 0",
    ]
    assert stack(stems).shape == (4, 2, 900)
    with pytest.warns(UserWarning, match="no samples"):
        assert stack(ensemble(noise(0), RATE)).shape == (4, 2, 0)


def test_the_callback_sees_all_members():
    ensemble, seen = Ensemble([(separator, 1) for separator in members()]), []
    ensemble(noise(9000), RATE, lambda *told: seen.append(told))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    with pytest.raises(Cancelled):
        ensemble(noise(9000), RATE, lambda fraction, eta: False)


def test_wrong_members():
    one, _ = members()
    with pytest.raises(UserError, match="different stems"):
        Ensemble([(one, 1), (Separator(*MODEL, residual=True), 1)])
    for weight in (0, -1, float("nan")):
        with pytest.raises(UserError, match="wanted positive"):
            Ensemble([(one, weight)])
    with pytest.raises(UserError, match="wanted positive"):
        Ensemble([])


def test_streams_of_different_lengths_are_noticed():
    with pytest.raises(ValueError, match="different lengths"):
        list(mean_of([iter([np.ones((1, 3))]), iter([np.ones((1, 2))])], [0.5, 0.5]))
