"""bfloat16 in training: which products have it, and that gradients stay near."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_models import made

from xumx_jax.layers.convolution import convolve, transposed
from xumx_jax.layers.dense import along, autocast
from xumx_jax.models import MODELS, interface, model_class
from xumx_jax.models.interface import fields

PRODUCTS = ("dot_general", "conv_general_dilated")
CASTING = [name for name in MODELS if interface.optional(made(name), "autocast")]
WITH_DTYPE = ["bs_roformer", "mel_band_roformer"]


def operands(jaxpr) -> Counter:
    """How many matrix products and convolutions have which types of operands."""
    found = Counter()
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS:
            found[tuple(str(each.aval.dtype) for each in equation.invars)] += 1
        inner = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
        )
        for part in inner:
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                found += operands(part)
    return found


@pytest.mark.parametrize("name", [*CASTING, *WITH_DTYPE])
def test_all_products_of_a_step_are_of_rounded_operands(name):
    """As it is traced, forwards and backwards; attention's gradient may have one in float32."""
    has_field = "dtype" in fields(model_class(name))
    model = made(name, **{"dtype": "bfloat16"} if has_field else {})
    shapes = interface.variable_shapes(model)
    rest = {key: value for key, value in shapes.items() if key != "params"}

    def value(params, mix, rest):
        return (model.apply({"params": params, **rest}, mix, train=True).wave ** 2).mean()

    with autocast("float32" if has_field else "bfloat16"):
        given = shapes["params"], interface.example_mix(model), rest
        found = operands(jax.make_jaxpr(jax.grad(value))(*given).jaxpr)
    assert found["bfloat16", "bfloat16"] > 20 and ("float32", "float32") not in found
    assert set(found) == {("bfloat16", "bfloat16")} or "former" in name or name == "htdemucs"


def convolutions():
    return {
        "strided": (partial(convolve, stride=2), (1, 3, 9, 4), (4, 4, 5)),
        "strided rows": (partial(convolve, stride=2, axis=-3), (1, 9, 3, 4), (4, 4, 5)),
        "both": (partial(convolve, padding=1), (1, 3, 9, 4), (3, 3, 4, 5)),
        "transposed": (lambda x, w: transposed(x, w, None, 2), (1, 3, 9, 4), (4, 4, 5)),
        "along bins": (along, (1, 3, 9, 4), (9, 5)),
    }


@pytest.mark.parametrize("name", convolutions())
@pytest.mark.usefixtures("quick_compile")
def test_outputs_and_gradients_are_those_of_rounded_operands(name):
    function, *shapes = convolutions()[name]
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)

    def both(dtype, round_to):
        """What it gives, and the gradients, of operands and cotangents rounded beforehand."""
        near = [operand.astype(round_to).astype(jnp.float32) for operand in (x, w)]
        with autocast(dtype):
            y, back = jax.vjp(function, *near)
            dy = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
            return y, *back(dy.astype(round_to).astype(jnp.float32))

    cast, wanted = both("bfloat16", jnp.float32), both("float32", jnp.bfloat16)
    for one, other in zip(cast, wanted, strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    exact = both("float32", jnp.float32)
    assert all(np.abs(one - other).max() > 0 for one, other in zip(cast, exact, strict=True))
