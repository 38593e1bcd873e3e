"""All that a training step reads and writes."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax import Array


@struct.dataclass
class State:
    """`step` counts batches; `skipped` those that changed nothing, `in_row` the last ones of these.

    `average` follows params and batch_stats slowly, or is None where no average is kept. `plateau`
    changes between epochs; its `scale` is a factor on the learning rate.
    """

    step: Array
    params: dict
    batch_stats: dict
    opt_state: optax.OptState
    average: dict | None
    plateau: Any
    skipped: Array
    in_row: Array

    def variables(self) -> dict:
        """What gets evaluated and published: the average, where there is one."""
        if self.average is not None:
            return self.average
        return {"params": self.params, "batch_stats": self.batch_stats}


def init(
    model: nn.Module, optimizer: optax.GradientTransformation, key, mix, plateau, average=True
) -> State:
    """Initialise for mixtures like `mix` [batch, channel, time]."""
    variables = model.init(key, mix)
    params, batch_stats = variables["params"], variables["batch_stats"]
    zero = jnp.zeros((), jnp.int32)
    state = State(
        step=zero,
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        average=None,
        plateau=plateau,
        skipped=zero,
        in_row=zero,
    )
    return with_average(state) if average else state


def with_average(state: State) -> State:
    """Let the average begin at the weights as they are."""
    now = {"params": state.params, "batch_stats": state.batch_stats}
    return state.replace(average=jax.tree.map(jnp.copy, now))
