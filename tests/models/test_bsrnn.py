import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.models import build
from xumx_jax.models.interface import variable_shapes

TINY = {"hidden_size": 8, "n_fft": 64, "hop": 16, "layers": 2, "bands": (0, 11, 22, 33)}
pytestmark = pytest.mark.usefixtures("quick_compile")


def mixture(channels: int = 2, time: int = 310) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, channels, time)).astype(np.float32)


def made(**options):
    """A model with weights that are random, which takes less long than to initialise them."""
    model, draw = build("bsrnn", **TINY | options), np.random.default_rng(0)

    def one(leaf):
        return np.float32(0.3) * draw.standard_normal(leaf.shape).astype(np.float32)

    return model, jax.tree.map(one, variable_shapes(model))


def apply(model, variables, mix):
    """Compiled: what the model returns, and the masks that it makes of magnitudes alone."""

    def both(variables, mix):
        magnitudes = jnp.abs(model.transform.stft(mix))
        return model.apply(variables, mix), model.apply(variables, magnitudes, method="masks")

    return jax.jit(both)(variables, mix)


@pytest.mark.slow
@pytest.mark.parametrize("sources", [("music",), ("a", "b", "c")])
def test_masks_are_factors_of_the_mixture(sources):
    model, variables = made(sources=sources)
    stems, alone = apply(model, variables, mixture())
    count, frames = len(sources), 20
    assert stems.wave.shape == (2, count, 2, 304)  # whole hops
    assert stems.mask[0].shape == stems.spec[0].shape == (2, count, 2, 33, frames)
    spec = model.transform.stft(mixture())
    np.testing.assert_allclose(stems.spec[0], stems.mask[0] * spec[:, None], atol=1e-5)
    np.testing.assert_allclose(stems.magnitude[0], np.abs(stems.spec[0]), atol=1e-5)
    np.testing.assert_allclose(stems.wave, model.transform.istft(stems.spec[0]), atol=1e-5)
    mask = np.asarray(stems.mask[0])
    assert 0 < mask.min() and mask.max() < 1 and mask.std() > 0.01
    assert np.allclose(mask.sum(1), 1, atol=1e-5) == (count > 1)
    np.testing.assert_allclose(alone, mask, atol=1e-5)


@pytest.mark.slow
def test_channels_and_items_do_not_mix():
    model, variables = made()
    mix = mixture()
    run = jax.jit(lambda mix: model.apply(variables, mix).wave)
    both = run(mix)
    for channel in range(2):
        alone = run(mix[1:, channel : channel + 1])
        np.testing.assert_allclose(alone[0, :, 0], both[1, :, channel], atol=1e-5)


@pytest.mark.slow
def test_complex_masks_turn_the_phase():
    """Twice the values per bin: real and imaginary part of a factor."""
    model, variables = made(mask="complex", sources=("a", "b"))
    assert variables["params"]["merge"]["bias"].shape == (4, 33)
    spec = model.transform.stft(mixture())
    stems, mask = apply(model, variables, mixture())
    assert mask.dtype == np.complex64 and stems.mask == () and stems.magnitude == ()
    np.testing.assert_allclose(stems.spec[0], mask * spec[:, None], atol=1e-4)
    # the MLP's first values are the real parts: with weights 0 the biases alone are left
    merge = jax.tree.map(np.zeros_like, variables["params"]["merge"])
    merge["bias"] = np.repeat(np.float32([[0], [2], [1], [0]]), 33, axis=1)
    params = {**variables["params"], "merge": merge}
    stems = jax.jit(model.apply)({"params": params}, mixture())
    np.testing.assert_allclose(stems.spec[0][:, 0], 2j * spec, atol=1e-5)
    np.testing.assert_allclose(stems.spec[0][:, 1], spec, atol=1e-5)


def test_several_sources_are_filtered_as_by_aimless():
    assert build("bsrnn").post_filter is None
    assert build("bsrnn", sources=("a", "b")).post_filter == "aimless"
    assert build("bsrnn", sources=("a", "b"), mask="complex").post_filter is None
    assert build("bsrnn", filter="norbert").post_filter == "norbert"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "binary"}, "mask 'binary': wanted one of"),
        ({"compute": "int8"}, "compute 'int8': wanted one of"),
        ({"hidden_size": 6}, "hidden_size 6: wanted an even multiple of 4 groups"),
        ({"hidden_size": 3, "groups": 3}, "hidden_size 3: wanted an even multiple of 3 groups"),
        ({"bands": (0, 5, 32)}, "wanted rising ones, from 0 to 33 bins"),
        ({"bands": None}, "wanted rising ones, from 0 to 33 bins"),
    ],
)
def test_arguments_that_make_no_model_are_one_line(options, message):
    with pytest.raises(UserError, match=f"model 'bsrnn': .*{message}") as error:
        build("bsrnn", **TINY | options)
    assert "\n" not in str(error.value)
