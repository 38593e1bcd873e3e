"""Optimizers and schedules by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.errors import UserError
from xumx_jax.training import optimizer


@pytest.mark.slow
def test_decay_joins_the_gradient_or_not():
    weights, grads = jnp.full(3, 2.0), jnp.zeros(3)
    for name, wanted in (("adam", 1.0), ("adam_nnabla", 1.0), ("adamw", 0.5 * 2)):
        made = optimizer.build(name, 0.5)
        updates, _ = made.update(grads, made.init(weights), weights)
        np.testing.assert_allclose(updates, wanted, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_clipping_limits_the_global_norm_before_adam_sees_it():
    """Adam forgets scale, so look at its first moment: a tenth of the clipped gradient."""
    made = optimizer.build("adam", 0.0, clip=1.0)
    grads = {"a": jnp.array([30.0]), "b": jnp.array([40.0])}
    _, state = made.update(grads, made.init(grads), grads)
    mu = state[1][1].mu
    np.testing.assert_allclose([mu["a"][0], mu["b"][0]], [0.06, 0.08], rtol=1e-5)


@pytest.mark.slow
def test_schedules():
    cosine = optimizer.build_schedule("cosine", 1.0, 110, 10)
    np.testing.assert_allclose(
        [cosine(0), cosine(5), cosine(10), cosine(60), cosine(110)],
        [0, 0.5, 1, 0.505, 0.01],
        rtol=1e-5,
    )
    with pytest.raises(UserError, match="unknown schedule 'linear'; known: constant, cosine"):
        optimizer.build_schedule("linear", 1.0, 1, 0)
    with pytest.raises(UserError, match="unknown optimizer 'sgd'"):
        optimizer.build("sgd", 0)
