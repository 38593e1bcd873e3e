"""Hybrid Demucs: lengths, options. What it computes is in parity/test_golden_demucs.py."""

import jax
import numpy as np
import pytest
from toy_models import TINY_WAVE, drawn

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes

SMALL = {**TINY_WAVE, "width": 8, "n_fft": 64, "depth": 3}
RNG = np.random.default_rng(0)


def mixture(length):
    return np.random.default_rng(length).normal(size=(2, 2, length)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"channels": 1, "n_fft": 32, "depth": 2},  # merging with a stride of 2, as of 2048
        {"n_fft": 256, "depth": 1, "multi_freqs": (0.3, 0.6), "multi_freqs_depth": 1},  # no merger
        {"hybrid": False, "context_enc": 1, "rewrite": False},
        {"hybrid_old": True, "width_time": 12, "dconv_mode": 3, "freq_emb": 0.0, "depth": 2},
        {
            "complex_channels": False, "norm_starts": 0, "dconv_mode": 2, "dconv_depth": 1,
            "kernel_size": 4, "stride": 2, "n_fft": 32, "depth": 4, "time_stride": 4,
        },
    ],
    ids=str,
)  # fmt: skip
def test_every_length_comes_back(options):
    """A single sample, and an odd number."""
    model = build("hdemucs", **SMALL | options)
    variables = variable_shapes(model)
    for length in (1, 51):
        mix = jax.ShapeDtypeStruct((1, model.channels, length), np.float32)
        found = jax.eval_shape(model.apply, variables, mix)
        assert found.wave.shape == (1, 2, model.channels, length)
        blocks = jax.eval_shape(model.transform.forward, found.wave)
        assert [block.shape for block in found.spec] == [block.shape for block in blocks]


@pytest.mark.slow
def test_statistics_are_undone(quick_compile):
    """A track's, and the deviation of each mixture."""
    model, variables = drawn("hdemucs")
    run = jax.jit(lambda mix, statistics: model.apply(variables, mix, statistics=statistics).wave)
    mix, spread, same = mixture(51), np.float32([0.3, 2.5]), np.float32([0, 1])
    plain = run(mix, same)
    found = run(spread[1] * mix + spread[0], spread)
    np.testing.assert_allclose(found, spread[1] * plain + spread[0], atol=1e-4)
    assert plain.std() > 0.01
    np.testing.assert_allclose(run(3 * mix, same), 3 * plain, rtol=1e-2, atol=1e-3)
    assert np.isfinite(run(0 * mix, same)).all()


def masked(iterations, train=False, **options):
    """What becomes of sizes of spectra: [batch, source, channel, frame, bin], and the mixture."""
    model = build("hdemucs", **SMALL, complex_channels=False, hybrid=False, **options)
    name = "end_iters" if train else "wiener_iters"
    model = model.clone(**{name: iterations})
    size = RNG.uniform(0.1, 1, (1, 6, 32, 4)).astype(np.float32)  # [batch, frame, bin, channel]
    real, imaginary = RNG.normal(size=(2, 1, 6, 2, 32))
    spec = (real + 1j * imaginary).astype(np.complex64)
    found = jax.jit(lambda size, spec: model._as_spectra(size, spec, train))(size, spec)
    sizes = size.reshape(1, 6, 32, 2, 2).transpose(0, 3, 4, 1, 2)
    return np.asarray(found), sizes, spec.swapaxes(1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("iterations, train", [(-1, True), (0, False)])
def test_magnitudes_get_the_phase_of_the_mixture(iterations, train, quick_compile):
    """Without a filter, in training here, and with one of no iterations, which is no other."""
    other = {"wiener_iters": 1} if train else {"end_iters": 1}
    found, size, spec = masked(iterations, train, **other)
    assert found.shape == (1, 2, 2, 6, 32) == size.shape
    np.testing.assert_allclose(found, size * np.exp(1j * np.angle(spec))[:, None], atol=1e-5)


@pytest.mark.slow
def test_the_filter_shares_out_the_mixture(quick_compile):
    """After an iteration all sources, and the residual if there is one, sum to the mixture."""
    found, _, spec = masked(1)
    np.testing.assert_allclose(found.sum(1), spec, atol=1e-2)
    rest = spec - masked(1, wiener_residual=True)[0].sum(1)
    assert np.abs(rest).mean() > 0.05 * np.abs(spec).mean()


@pytest.mark.slow
def test_the_embedding_begins_smooth_and_as_large_as_noise(quick_compile):
    """Divided by what it will be multiplied by."""
    mix, steps = np.zeros((1, 2, 64), np.float32), {}
    for smooth in (True, False):
        model = build("hdemucs", **SMALL | {"n_fft": 1024, "depth": 1, "emb_smooth": smooth})
        init = jax.jit(lambda key, model=model: model.init(key, mix)["params"]["embedding"])
        found = init(jax.random.key(0))
        assert found.shape == (128, 8) and 0.05 < found.std() < 0.2
        steps[smooth] = np.diff(found, axis=0).std()
    assert 4 * steps[True] < steps[False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth 0: wanted 1 or more"),
        ({"n_fft": 60}, "n_fft 60: wanted a multiple of 8"),
        ({"n_fft": 80}, "n_fft 80: layer 1 has 10 bins, wanted a multiple of 4"),
        ({"n_fft": 48}, "n_fft 48: layer 1 has 6 bins, wanted a multiple of 4"),
        ({"n_fft": 72}, "n_fft 72: layer 1 has 9 bins, wanted a multiple of 4"),
        ({"stride": 2}, "stride 2: wanted 4 beside kernel_size 8"),
        ({"time_stride": 3}, "time_stride 3: wanted an even number"),
        ({"norm_starts": 0, "norm_groups": 3}, "norm_groups 3: wanted a divisor of the 8 and 8"),
        ({"dconv_comp": 9}, "dconv_comp 9: wanted at most 8, the channels"),
        ({"dconv_attn": 0}, "dconv_attn: a branch of 2 channels; wanted a multiple of 4"),
        ({"dconv_mode": 4}, "dconv_mode 4: wanted 0, 1, 2 or 3"),
        ({"multi_freqs": (0.01,), "multi_freqs_depth": 1}, "multi_freqs: no bins between those"),
        ({"multi_freqs": (0.6, 0.5), "multi_freqs_depth": 1}, "multi_freqs: no bins between"),
        ({"multi_freqs": (0.5,), "norm_starts": 1}, "multi_freqs: wanted norm_starts of at least"),
        ({"hybrid_old": True, "hybrid": False}, "hybrid_old: wanted hybrid as well"),
        ({"wiener_iters": 1}, "wiener_iters and end_iters of a hybrid model: wanted the same"),
    ],
)
def test_arguments_that_make_no_model_are_one_line(options, message):
    with pytest.raises(UserError, match=f"model 'hdemucs': .*{message}") as error:
        build("hdemucs", **SMALL | options)
    assert "\n" not in str(error.value)
    build("hdemucs", **SMALL)
