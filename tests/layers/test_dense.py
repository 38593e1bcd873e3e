import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.layers.dense import product

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(2, 5, 3)).astype(np.float32)
KERNEL = DRAW.normal(size=(2, 3, 4)).astype(np.float32)
WEIGHT = DRAW.normal(size=(2, 5, 4)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.05)])
@pytest.mark.parametrize("mapped", [False, True])
def test_equals_matmul_with_gradients(dtype, tolerance, mapped):
    def ours(x, kernel):
        return product(x, kernel, dtype)

    run = jax.vmap(ours) if mapped else ours

    def score(function):
        return jax.value_and_grad(lambda *a: (function(*a) * WEIGHT).sum(), argnums=(0, 1))

    found, wanted = score(run)(X, KERNEL), score(jnp.matmul)(X, KERNEL)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_bfloat16_rounds_operands_and_not_sums():
    ones = jnp.ones((1, 1000), jnp.float32)
    kernel = jnp.full((1000, 1), 1 + 2**-10, jnp.float32)  # rounds to 1
    assert float(product(ones, kernel, "bfloat16")[0, 0]) == 1000
    assert float(product(ones[:, :257], kernel[:257], "bfloat16")[0, 0]) == 257  # no bfloat16
