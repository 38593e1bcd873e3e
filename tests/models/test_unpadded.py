"""Networks that drop what does not fill their windows: lengths, and what is done about them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_models import drawn, made

from xumx_jax.errors import UserError
from xumx_jax.models import build

NAMES = ("demucs_split", "rel_tdemucs")
SIZES = [{}, {"resample": False, "depth": 2}, {"kernel_size": 7, "stride": 3, "depth": 2}]


def lengths(module, samples):
    """How many samples the network and the model return."""
    mix = jax.ShapeDtypeStruct((1, 2, samples), jnp.float32)
    key = jax.random.key(0)
    alone = jax.eval_shape(partial(module.init_with_output, method="separate"), key, mix)[0]
    return alone.shape[-1], jax.eval_shape(module.init_with_output, key, mix)[0].wave.shape[-1]


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_lengths(sizes):
    """Of the lengths in `segment` the network returns all samples, of others fewer."""
    module = made("demucs_split", **sizes)
    first = module.segment.fit(1)
    second = module.segment.fit(first + 1)
    assert lengths(module, second) == (second, second)
    alone, whole = lengths(module, second - 1)
    assert first <= alone < second and whole == second - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_silence_is_appended(name, quick_compile):
    """Other lengths give what the network makes of the same, followed by silence."""
    module, variables = drawn(name)
    length = module.segment.fit(64)
    mix = np.random.default_rng(0).standard_normal((2, 2, length - 1)).astype(np.float32)
    longer = np.pad(mix, [(0, 0), (0, 0), (0, 1)])
    wanted = jax.jit(partial(module.apply, method="separate"))(variables, longer)
    ours = jax.jit(module.apply)(variables, mix).wave
    np.testing.assert_allclose(ours, wanted[..., :-1], atol=1e-6)
    assert np.abs(ours).max() > 1e-3
    assert np.isfinite(jax.jit(module.apply)(variables, 0 * mix).wave).all()


@pytest.mark.slow
def test_dropout_is_for_training(quick_compile):
    module, variables = drawn("rel_tdemucs")
    module = module.clone(dropout=0.5)
    mix = np.random.default_rng(0).standard_normal((2, 2, 70)).astype(np.float32)

    @partial(jax.jit, static_argnums=0)
    def run(train, seed=0):
        return module.apply(variables, mix, train, rngs={"dropout": jax.random.key(seed)}).wave

    calm, first, second = run(False), run(True, 1), run(True, 2)
    np.testing.assert_array_equal(run(True, 1), first)
    assert np.abs(first - second).max() > 1e-3 < np.abs(first - calm).max()


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("demucs_split", {"width": 3}, "width 3: wanted an even number"),
        ("rel_tdemucs", {"activation": "tanh"}, "activation 'tanh': wanted relu or gelu"),
        ("rel_tdemucs", {"heads": 3}, "heads 3: wanted a divisor of 2048 channels"),
    ],
)
def test_refused(name, arguments, wanted):
    with pytest.raises(UserError, match=wanted):
        build(name, **arguments)
