"""A batch in parts: the same gradients, the same terms of the loss, whatever is random."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import runs
from jax.sharding import PartitionSpec as P
from toy_models import ARGUMENTS

from configs import common
from xumx_jax import losses, models
from xumx_jax.errors import UserError
from xumx_jax.models.interface import example_mix
from xumx_jax.training import config_checks, micro_batches, state, step
from xumx_jax.training.schedule import Plateau

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize(
    "rows, largest, parts",
    [(4, None, 1), (4, 4, 1), (4, 9, 1), (4, 3, 2), (4, 1, 4), (6, 4, 2), (5, 2, 5), (1, 1, 1)],
)
def test_parts_are_equal(rows, largest, parts):
    assert micro_batches.parts_of(rows, largest) == parts


def test_means_of_parts_are_those_of_the_whole():
    """The gradient of (p x)^2, known by hand: the mean of 2 p x^2."""
    x = np.array([1.0, 2.0, 3.0, 4.0], np.float32)

    def objective(p, x):
        value = jnp.square(p * x).mean()
        return value, ({"term": x.mean()}, {"constants": jnp.float32([5, 6])})

    def one(p, x):
        (value, (terms, kept)), grad = micro_batches.value_and_grad(objective, p, (x,), 2, "data")
        return value, terms["term"], grad, kept["constants"]

    over = step.mesh(jax.devices()[:1])
    mapped = jax.shard_map(
        one, mesh=over, in_specs=(P(), P("data")), out_specs=P(), check_vma=False
    )
    value, term, grad, constants = mapped(np.float32(3.0), x)
    assert (value, term, grad) == (67.5, 2.5, 45.0) and list(constants) == [5, 6]


def gradients(devices: int, micro_batch: int | None):
    """Of a step of a model with dropout: an optimizer whose new state is the gradient."""
    keep = optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda grads, _, params=None: (jax.tree.map(jnp.zeros_like, grads), grads),
    )
    sources = ("bass", "drums", "vocals", "other")
    model = models.build(
        "rel_tdemucs", **ARGUMENTS["rel_tdemucs"] | {"sources": sources, "dropout": 0.5},
        axis_name=step.AXIS,
    )  # fmt: skip
    this = step.Step(
        model, losses.build("l1", None), keep, lambda done: 0.0, micro_batch=micro_batch
    )
    plateau = Plateau(None, 0.3, 10).init()
    start = partial(state.init, model, keep, mix=example_mix(model), plateau=plateau, average=False)
    now = jax.jit(start)(jax.random.key(0))
    over = step.mesh(jax.devices()[:devices])
    compiled = step.train_step(this, over)
    now, values = compiled(step.replicate(now, over), step.shard(runs.examples(), over))
    return jax.device_get((now.opt_state, values))


@pytest.mark.slow
def test_dropout_and_gradients_are_those_of_the_whole_batch():
    """On one device at once, and on two that have two examples each and compute one."""
    wanted, whole = gradients(1, None)
    found, parts = gradients(2, 1)
    for key, value in whole.items():
        np.testing.assert_allclose(parts[key], value, rtol=1e-5, err_msg=key)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * largest)


def test_statistics_of_a_batch_are_not_those_of_its_parts():
    config_checks.check(runs.without_batch_norm())
    roformer = common.base("bs_roformer")  # which has constants
    roformer.model.args.update(ARGUMENTS["bs_roformer"])
    roformer.train.micro_batch = 1
    config_checks.check(roformer)
    with pytest.raises(UserError) as error:
        config_checks.check(runs.config(micro_batch=2))
    wanted = "None: model 'xumx' normalises over the whole batch; train.recompute, more devices or "
    wanted += "fewer train.seconds take less memory"
    assert str(error.value) == f"config.train.micro_batch is 2, wanted {wanted}"
