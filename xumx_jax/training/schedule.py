"""When to lower the learning rate and when to stop, from the validation loss of each epoch.

Both use libraries (optax, flax), set up to decide as the reference programs do (X-UMX's own
classes, PyTorch for Open-Unmix): the rate falls when more than `patience` epochs in a row were not
better than the best by a relative 1e-4, and is then kept for `cooldown` epochs; training ends when
`patience` epochs in a row were not better at all. (A loss that is not a number ends it too; the
loop checks that.)
"""

import math

import jax
import jax.numpy as jnp
from flax.training.early_stopping import EarlyStopping
from optax import contrib

from xumx_jax.errors import UserError


class Plateau:
    """The factor on the learning rate. Its state is a pytree of arrays (`.scale` is the factor).

    `patience` None never lowers the rate.
    """

    def __init__(self, patience: int | None, factor: float, cooldown: int):
        if not 0 < factor < 1:
            raise UserError(
                f"optimizer.plateau.factor is {factor}, wanted more than 0, less than 1"
            )
        self.patience = patience
        # optax counts up to its patience, the reference one further
        self.rule = contrib.reduce_on_plateau(factor, (patience or 0) + 1, cooldown=cooldown)

    def init(self):
        return self.rule.init(jnp.zeros((), jnp.float32))

    def update(self, state, value: float):
        """Take in one epoch's validation loss."""
        if self.patience is None:
            return state
        return jax.device_get(self.rule.update(jnp.zeros(()), state, value=jnp.float32(value))[1])


def early_stopping(patience: int, best: float | None = None, stale: int = 0) -> EarlyStopping:
    """A fresh counter, or one that continues from a best value and `stale` epochs since.

    flax stops one epoch later than the reference.
    """
    best = math.inf if best is None else best
    return EarlyStopping(patience=patience - 1, best_metric=best, patience_count=stale)


def out_of_patience(early: EarlyStopping) -> bool:
    """Return whether training ends here."""
    return early.patience_count > early.patience
