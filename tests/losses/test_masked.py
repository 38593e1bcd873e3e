"""The masked loss, by hand: what is not below the quantile of a batch's errors counts as 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax import losses
from xumx_jax.stems import Stems

# Two sources of five items, each of one constant, whose squares are the errors of items.
LEVELS = np.sqrt(np.array([[1.0, 2, 3, 4, 100], [7.0, 7, 1, 0, 2]], np.float32))
SAMPLES = 6


def value(levels, **options):
    """Of estimates [source, item] that are constants over both channels, where silence is true."""
    wave = jnp.broadcast_to(jnp.asarray(levels).T[..., None, None], (5, 2, 2, SAMPLES))
    truth = jnp.zeros((5, 2, 2, SAMPLES + 1))  # a longer one is cut
    return losses.build("masked_mse", **options)(Stems(wave), Stems(truth), None)[0]


@pytest.mark.parametrize(
    "q, wanted",
    [
        # linear between the ranks: of the first source the limit is 4 + 0.8 * 96, of the other 7,
        # where two items are as large as the limit and neither counts
        (0.95, (1 + 2 + 3 + 4 + 1 + 0 + 2) / 10),
        (0.75, (1 + 2 + 3 + 1 + 0 + 2) / 10),  # 4 and 7
        (0.5, (1 + 2 + 1 + 0) / 10),  # 3 and 2: a mean over all items, whether they count or not
    ],
)
def test_items_from_the_quantile_on_count_as_zero(q, wanted):
    assert float(value(LEVELS, q=q)) == pytest.approx(wanted, rel=1e-6)


def test_what_does_not_count_has_no_gradient():
    gradient = jax.grad(lambda levels: value(levels, q=0.75))(jnp.asarray(LEVELS))
    counted = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])
    np.testing.assert_allclose(gradient, counted * 2 * LEVELS / 10, rtol=1e-5)


def test_without_coarse_the_errors_are_those_of_samples():
    wave = jnp.arange(1.0, 5.0).reshape(1, 1, 1, 4)  # squares 1, 4, 9, 16
    loss = losses.build("masked_mse", q=0.5, coarse=False)
    found, parts = loss(Stems(wave), Stems(jnp.zeros_like(wave)), None)
    assert float(found) == float(parts["mse"]) == (1 + 4) / 4  # the limit is 6.5


def test_a_batch_of_one_item_counts():
    """Nothing is below its own quantile: the original learns nothing from it."""
    wave = jnp.full((1, 2, 1, 3), 2.0)
    loss = losses.build("masked_mse")
    assert float(loss(Stems(wave), Stems(jnp.zeros_like(wave)), None)[0]) == 4
