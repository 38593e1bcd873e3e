"""Demucs: lengths, statistics, options. What it computes is in parity/test_golden_demucs.py."""

import jax
import numpy as np
import pytest
from toy_models import TINY_WAVE, drawn

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes

SMALL = {**TINY_WAVE, "width": 8, "depth": 2}


def mixture(length, channels=2):
    return np.random.default_rng(length).normal(size=(2, channels, length)).astype(np.float32)


def test_valid_lengths_fill_all_windows():
    """The least ones, by their definition; with `resample`, of which twice as many do."""
    for sizes in ({"depth": 2}, {"depth": 2, "kernel_size": 5, "stride": 3}):
        alone = build("demucs", **TINY_WAVE | sizes, resample=False)
        kernel, stride = alone.kernel_size, alone.stride

        def fills(length, kernel=kernel, stride=stride):
            for _ in range(2):
                if length < kernel or (length - kernel) % stride:
                    return False
                length = (length - kernel) // stride + 1
            return True

        valid = [length for length in range(200) if fills(length)]
        twice = build("demucs", **TINY_WAVE | sizes)
        for samples in range(1, 60):
            assert alone.valid_length(samples) == next(n for n in valid if n >= samples)
            assert twice.valid_length(samples) == -(-alone.valid_length(2 * samples) // 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"channels": 1, "lstm_layers": 1, "dconv_mode": 0, "gelu": False, "resample": False},
        {"dconv_mode": 3, "dconv_depth": -1, "norm_starts": 0, "glu": False, "context": 0},
        {"rewrite": False, "normalize": False, "growth": 1.5, "rescale": None},
    ],
    ids=str,
)
def test_every_length_comes_back(options):
    """A single sample, and an odd number."""
    model = build("demucs", **SMALL | options)
    variables = variable_shapes(model)
    for length in (1, 51):
        mix = jax.ShapeDtypeStruct((1, model.channels, length), np.float32)
        found = jax.eval_shape(model.apply, variables, mix)
        assert found.wave.shape == (1, 2, model.channels, length)
        assert found.spec == ()


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 30])
def test_silence_surrounds_a_mixture_up_to_a_valid_length(length, quick_compile):
    model, variables = drawn("demucs")
    model = model.clone(normalize=False, resample=False)
    run = jax.jit(lambda mix: model.apply(variables, mix).wave)
    missing = model.valid_length(length) - length
    assert missing > 1
    left, mix = missing // 2, mixture(length)
    longer = np.pad(mix, [(0, 0), (0, 0), (left, missing - left)])
    np.testing.assert_allclose(run(mix), run(longer)[..., left : left + length], atol=1e-6)
    assert np.abs(run(mix)).max() > 1e-3
    assert np.isfinite(run(0 * mix)).all()


@pytest.mark.slow
def test_statistics_are_undone(quick_compile):
    """A track's mean and deviation, and with `normalize` those of each mixture as well."""
    model, variables = drawn("demucs")
    mix, spread = mixture(40), np.float32([0.3, 2.5])
    for normalize in (False, True):
        each = model.clone(normalize=normalize)
        run = jax.jit(lambda mix, s, each=each: each.apply(variables, mix, statistics=s).wave)
        same = np.float32([0, 1])
        found, plain = run(spread[1] * mix + spread[0], spread), run(mix, same)
        np.testing.assert_allclose(found, spread[1] * plain + spread[0], atol=1e-4)
        assert np.isfinite(run(0 * mix, same)).all()
        louder = run(3 * mix + 1, same)
        assert np.allclose(louder, 3 * plain + 1, atol=1e-3) == normalize
    assert plain.std() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth 0: wanted 1 or more"),
        ({"stride": 0}, "stride 0: wanted 1 or more"),
        ({"sources": ()}, r"sources \(\): wanted a list of at least one name"),
        ({"seconds": 0}, "seconds 0: wanted more than 0"),
        ({"context": -1}, "context -1: wanted 0 or more"),
        ({"dconv_mode": 4}, "dconv_mode 4: wanted 0, 1, 2 or 3"),
        ({"dconv_comp": 9}, "dconv_comp 9: wanted at most 8, the channels"),
        ({"norm_starts": 1, "norm_groups": 3}, "norm_groups 3: wanted a divisor of the 16 and 8"),
        ({"dconv_attn": 0}, "dconv_attn: a branch of 2 channels; wanted a multiple of 4"),
        ({"sauces": 2}, "unexpected keyword argument 'sauces'"),
    ],
)
def test_arguments_that_make_no_model_are_one_line(options, message):
    with pytest.raises(UserError, match=f"model 'demucs': .*{message}") as error:
        build("demucs", **SMALL | options)
    assert "\n" not in str(error.value)
    build("demucs", **SMALL)
