"""All that a training step reads and writes."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax import Array


@struct.dataclass
class State:
    """`average` follows params and batch_stats slowly and is what gets evaluated and published."""

    step: Array
    params: dict
    batch_stats: dict
    opt_state: optax.OptState
    average: dict

    def variables(self) -> dict:
        return {"params": self.params, "batch_stats": self.batch_stats}


def init(model: nn.Module, optimizer: optax.GradientTransformation, key, mix) -> State:
    """Initialise for mixtures like `mix` [batch, channel, time]."""
    variables = model.init(key, mix)
    params, batch_stats = variables["params"], variables["batch_stats"]
    average = jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats})
    return State(jnp.zeros((), jnp.int32), params, batch_stats, optimizer.init(params), average)
