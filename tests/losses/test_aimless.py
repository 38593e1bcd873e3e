"""AIMLESS's losses by hand; recordings of the program are in tests/parity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import losses
from xumx_jax.errors import UserError
from xumx_jax.stems import Stems
from xumx_jax.transforms.stft import Stft

RNG = np.random.default_rng(0)
TRANSFORM = Stft(64, 16)


def waves(samples: int = 320) -> np.ndarray:
    return RNG.normal(size=(2, 3, 2, samples)).astype(np.float32)


def stems(wave) -> Stems:
    return Stems(jnp.asarray(wave), TRANSFORM.forward(wave))


def test_l1_of_groups():
    """Errors 1, -1 and 2: groups of 3 sources err by 1, 1, 2, 0, 3 and 1."""
    ref = np.zeros((1, 3, 1, 4), np.float32)
    est = ref + np.float32([1, -1, 2]).reshape(1, 3, 1, 1)
    value, _ = losses.build("l1", combinations=True)(Stems(est), Stems(ref), None)
    assert float(value) == pytest.approx(8 / 6)
    value, _ = losses.build("l1")(Stems(est), Stems(ref), None)
    assert float(value) == pytest.approx(4 / 3)


def test_l1_leaves_silence_alone():
    """Where nothing differs, no gradient; a group of -1 and 1 has none either."""
    ref = np.zeros((1, 3, 1, 4), np.float32)
    est = ref + np.float32([1, -1, 0]).reshape(1, 3, 1, 1)
    gradient = jax.grad(lambda x: losses.build("l1")(Stems(x), Stems(ref), None)[0])(est)
    np.testing.assert_allclose(gradient[0, :, 0, 0], np.float32([1, -1, 0]) / 12)


def test_negative_sdr_counts_all_sources_together():
    """Half the amplitude everywhere is 6.02 dB, whatever the sources' levels."""
    ref = waves() * np.float32([1, 100, 0.01]).reshape(1, 3, 1, 1)
    value, _ = losses.build("negative_sdr")(Stems(0.5 * ref), Stems(ref), None)
    assert float(value) == pytest.approx(-20 * np.log10(2), abs=1e-3)


def test_complex_mse_sees_phase():
    ref = stems(waves())
    turned = ref.replace(spec=tuple(1j * block for block in ref.spec))
    value, _ = losses.build("complex_mse", combinations=False)(turned, ref, None)
    power = jnp.square(jnp.abs(ref.spec[0])).mean()
    assert float(value) == pytest.approx(2 * float(power), rel=1e-5)
    assert float(losses.build("mse", combinations=False)(turned, ref, None)[0]) < 1e-6


def test_cross_entropy_of_masks():
    """Of 0.5 it is log 2 whatever the truth; masks of 0 and 1 cost at most 100."""
    ref = stems(waves())
    half = ref.replace(mask=(jnp.full(ref.spec[0].shape, 0.5),))
    loss = losses.build("mask_bce", combinations=False)
    assert float(loss(half, ref, None)[0]) == pytest.approx(np.log(2), rel=1e-4)
    for mask in (0.0, 1.0, 1.5, -0.5):
        made = ref.replace(mask=(jnp.full(ref.spec[0].shape, mask),))
        share = {True: 1 / 3, False: 2 / 3}[mask <= 0]
        assert float(loss(made, ref, None)[0]) == pytest.approx(100 * share, rel=1e-4)


@pytest.mark.parametrize("name", ["l1", "negative_sdr", "weighted_sdr"])
def test_what_a_shorter_estimate_lacks_does_not_count(name):
    est, ref = waves(300), waves()
    options = {"trim": 0} if name == "weighted_sdr" else {}
    loss = losses.build(name, **options)
    cut = ref[..., :300]
    found = loss(Stems(est), Stems(ref), ref.sum(1))[0]
    assert float(found) == float(loss(Stems(est), Stems(cut), cut.sum(1))[0])


def test_a_filter_needs_the_transform():
    ref = stems(waves())
    with pytest.raises(UserError, match="needs the transform"):
        losses.build("complex_multi_domain", niter=1)(ref, ref, ref.wave.sum(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"niter": -1}, "niter is -1; wanted 0 or a positive whole number"),
        ({"niter": 1.5}, "niter is 1.5; wanted"),
        ({"alpha": 3.0}, "alpha is 3.0 without softmask"),
        ({"niter": 1, "alpha": 3.0}, "alpha is 3.0 without softmask"),
        ({"softmask": True, "alpha": 0}, "alpha is 0; wanted a positive number"),
        ({"softmask": True, "alpha": float("nan")}, "alpha is nan; wanted a positive number"),
    ],
)
def test_filters_that_make_no_sense_are_not_built(options, message):
    with pytest.raises(UserError, match=f"loss 'complex_multi_domain': {message}"):
        losses.build("complex_multi_domain", TRANSFORM, **options)
    losses.build("complex_multi_domain", TRANSFORM, softmask=True, alpha=3.0)


@pytest.mark.slow
def test_gradients_of_silence_are_finite(quick_compile):
    silence = stems(0 * waves())
    loss = losses.build("complex_multi_domain", TRANSFORM, niter=1)

    def value(spec):
        wave = TRANSFORM.inverse((spec,), 320)
        return loss(Stems(wave, (spec,)), silence, silence.wave.sum(1))[0]

    assert np.isfinite(jax.jit(jax.grad(value))(silence.spec[0])).all()
