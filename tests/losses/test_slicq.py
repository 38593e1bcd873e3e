"""Losses of xumx-sliCQ by hand, and blocks that are compared in one piece."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import losses
from xumx_jax.losses.waveform import scale_invariant_sdr
from xumx_jax.stems import Stems
from xumx_jax.transforms.slicq import SliCQ

RNG = np.random.default_rng(0)
PLAN = SliCQ("bark", 10, 200.0, sample_rate=8000)
pytestmark = pytest.mark.usefixtures("quick_compile")


def waves(scale: float = 1.0, samples: int = 600) -> np.ndarray:
    return (scale * RNG.normal(size=(2, 3, 2, samples))).astype(np.float32)


def stems(wave) -> Stems:
    spec = PLAN.forward(jnp.asarray(wave))
    mask = tuple(jnp.clip(jnp.abs(block), 0, 1) for block in spec)
    return Stems(jnp.asarray(wave), spec, mask)


@pytest.mark.parametrize(
    "name", ["mse", "complex_mse", "mask_bce", "mask_sum", "complex_mse_mask_sum",
             "multi_domain", "si_sdr_multi_domain"]
)  # fmt: skip
def test_in_one_piece_as_block_by_block(name):
    """Values, and gradients of all that a loss looks at."""
    assert len(PLAN.blocks) > 2
    est, ref = stems(waves()), stems(waves())
    results = []
    for transform in (PLAN, None):
        loss = losses.build(name, transform)
        run = jax.value_and_grad(lambda est, f=loss: f(est, ref, ref.wave.sum(1))[0])
        results.append(jax.jit(run)(est))
    (value, gradient), (wanted, other) = results
    assert float(value) == pytest.approx(float(wanted), rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7), gradient, other
    )


def test_si_sdr_is_the_definition():
    """Group by group in float64, in dB; gains and offsets of the estimate do not matter."""
    ref = waves()
    est = 0.5 * ref + 0.1 * waves() + 3
    found = scale_invariant_sdr(est, ref, losses.subsets(3))
    for row, ratios in zip(losses.subsets(3), found, strict=True):
        p, t = (x.astype(np.float64)[:, row > 0].sum(1) for x in (est, ref))
        p, t = (x - x.mean(-1, keepdims=True) for x in (p, t))
        a = (p * t).sum(-1, keepdims=True) / np.square(t).sum(-1, keepdims=True)
        wanted = 10 * np.log10(np.square(a * t).sum(-1) / np.square(p - a * t).sum(-1))
        np.testing.assert_allclose(ratios, wanted, atol=1e-3)


def test_si_sdr_of_silence_and_of_the_truth_is_finite():
    ref = waves()
    for est, truth in ((0 * ref, ref), (ref, 0 * ref), (0 * ref, 0 * ref), (ref, ref)):
        run = jax.value_and_grad(
            lambda x, y=truth: losses.build("negative_si_sdr")(Stems(x), Stems(y), None)[0]
        )
        value, gradient = run(est)
        assert np.isfinite(value) and np.isfinite(gradient).all()


def test_masks_that_add_up_to_one_cost_nothing():
    ref = stems(waves())
    third = tuple(jnp.full_like(block, 1 / 3) for block in ref.mask)
    assert float(losses.build("mask_sum", PLAN)(ref.replace(mask=third), ref, None)[0]) < 1e-12
    half = tuple(jnp.full_like(block, 0.5) for block in ref.mask)
    value, _ = losses.build("mask_sum", PLAN)(ref.replace(mask=half), ref, None)
    assert float(value) == pytest.approx(0.25)
    value, parts = losses.build("complex_mse_mask_sum", PLAN, mask_coef=2.0)(
        ref.replace(mask=half), ref, None
    )
    assert float(parts["complex_mse"]) == 0 and float(value) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["mask_sum", "complex_mse_mask_sum"])
def test_an_estimate_without_masks(name):
    ref = stems(waves()).replace(mask=())
    with pytest.raises(ValueError, match="mask_sum: the estimate has no masks"):
        losses.build(name, PLAN)(ref, ref, None)


def test_as_meant_and_as_coded():
    """As coded, sources are compared one by one, and waveforms have no gradient."""
    est, ref = stems(waves()), stems(waves())
    single, _ = losses.build("mse", PLAN, combinations=False)(est, ref, None)
    summed, _ = losses.build("mse", PLAN)(est, ref, None)
    ratio, _ = losses.build("negative_si_sdr")(est, ref, None)
    for original, wanted in ((True, single), (False, summed)):
        loss = losses.build("si_sdr_multi_domain", PLAN, original=original)
        run = jax.value_and_grad(lambda est, f=loss: f(est, ref, None)[0])
        value, gradient = run(est)
        assert float(value) == pytest.approx(float(wanted + 0.1 * ratio), rel=1e-5)
        assert bool(np.any(gradient.wave)) != original


def test_slices_and_coefficients_are_frames_of_segments():
    est, ref = stems(waves()), stems(waves())
    bands = tuple(tuple(range(block.bands + 1)) for block in PLAN.blocks)
    build = losses.build("segment_sdr", bands=bands, frames=20)
    measure = jax.jit(lambda est, ref: build(est, ref, None))

    def flat(blocks):
        return tuple(x.reshape(*x.shape[:4], -1) for x in blocks)

    value, parts = measure(est, ref)
    wanted, _ = measure(*(Stems(x.wave, flat(x.spec), flat(x.mask)) for x in (est, ref)))
    assert float(value) == pytest.approx(float(wanted), rel=1e-6) and parts["sdr"].shape == (3,)
