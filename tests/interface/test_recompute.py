"""Gradient checkpointing, of every model: the same gradients, of less that is kept."""

from functools import partial

import jax
import numpy as np
import pytest
import runs
from toy_models import NAMES, TOYS, toys  # noqa: F401
from toy_models import made as model_of

from xumx_jax.errors import UserError
from xumx_jax.models import interface
from xumx_jax.training import config_checks
from xumx_jax.training.recompute import recomputing

pytestmark = pytest.mark.usefixtures("quick_compile", "toys")
OURS = [name for name in NAMES if name not in (*TOYS, "mel_band_roformer")]  # as the other one


def objective(name: str):
    """A function of (params, mixture) whose gradients have parts of all layers, and its inputs."""
    model = model_of(name)
    shape = interface.example_mix(model, 2)
    mix = np.random.default_rng(0).normal(0, 0.1, shape.shape).astype(np.float32)
    shapes = interface.variable_shapes(model)
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda s: rng.uniform(0.1, 0.3, s.shape).astype(s.dtype), shapes)
    rest = {key: value for key, value in variables.items() if key != "params"}

    def value(recompute, params, mix):
        def run():
            return model.apply(
                {"params": params, **rest}, mix, train=True, mutable=list(rest),
                rngs={"dropout": jax.random.key(0)},
            )  # fmt: skip

        if recompute:
            with recomputing(model):
                est, updates = run()
        else:
            est, updates = run()
        return (est.wave**2).mean(), updates

    return value, variables["params"], mix


def kept_bytes(value, recompute, params, mix) -> int:
    """What the forward pass hands over to the backward pass, the parameters not counted."""
    _, backward, _ = jax.eval_shape(
        lambda p, m: jax.vjp(lambda p: value(recompute, p, m), p, has_aux=True), params, mix
    )
    everything = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(backward))
    return everything - sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))


@pytest.mark.parametrize("name", OURS)
def test_less_is_kept(name):
    value, params, mix = objective(name)
    length = model_of(name).segment.chunk(2**15)  # of so much, weights and what is saved of them
    mix = jax.ShapeDtypeStruct((*mix.shape[:-1], length), np.float32)  # are little beside the rest
    plain, less = (kept_bytes(value, recompute, params, mix) for recompute in (False, True))
    # RoFormers' layers keep little as they are; of these networks most is in the masks' estimate
    assert less < (0.85 if name == "bs_roformer" else 0.65) * plain


def test_a_model_without_such_layers_is_named():
    config = runs.config(recompute=True)
    config_checks.check(config)
    with pytest.raises(UserError, match="config.train.recompute is True, wanted False: model"):
        config_checks.check_recompute(config, model_of(next(iter(TOYS))))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["xumx", "bsrnn", "hdemucs", "rel_tdemucs", "mdxnet", "bs_roformer"]
)  # a loop, a batch's
# statistics, dropout, and layers that return several arrays
def test_gradients_are_the_same(name):
    value, params, mix = objective(name)
    found = []
    for recompute in (False, True):
        gradient = jax.grad(partial(value, recompute), has_aux=True)
        found.append(jax.device_get(jax.jit(gradient)(params, mix)))
    plain, again = (jax.tree.leaves(one) for one in found)
    largest = max(np.abs(leaf).max() for leaf in plain)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * largest)
