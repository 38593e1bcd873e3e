"""Everything that a training step reads and writes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax import Array

from xumx_jax.training import lora

COUNTERS = ("skipped", "in_row")
PHASE_COUNTERS = ("earlier_steps", "earlier_updates")


@struct.dataclass
class State:
    """The state of a run at one moment, as a tree of arrays.

    step         batches so far
    params       what is trained: the model's parameters, or with adapters what `lora` says
    collections  the model's collections other than "params": its running statistics, or nothing
    average      a running average of {"params", **collections}; None if none is kept
    plateau      changes between epochs; its `scale` is a factor on the learning rate
    counters     "skipped": batches that changed nothing, "in_row": the latest of them in a row; in
                 a run with phases also "earlier_steps" and "earlier_updates": batches before the
                 phase, less those skipped, and the updates before it that its schedule counts
    frozen       with adapters, the weights that they are added to; see `lora`
    """

    step: Array
    params: dict
    collections: dict
    opt_state: optax.OptState
    average: dict | None
    plateau: Any
    counters: dict[str, Array]
    frozen: dict | None = None

    def variables(self) -> dict:
        """The variables that are evaluated and published: the average, if there is one."""
        if self.average is not None:
            return self.average | {"params": lora.merged(self.average["params"], self.frozen)}
        return self.trained()

    def trained(self) -> dict:
        """The model's variables after the last step."""
        return {"params": lora.merged(self.params, self.frozen), **self.collections}

    def beginning(self, variables: dict) -> "State":
        """The same state, of other weights: variables as of `trained`."""
        collections = dict(variables)
        params, frozen = lora.with_base(self.params, self.frozen, collections.pop("params"))
        now = dataclasses.replace(self, params=params, frozen=frozen, collections=collections)
        return now if now.average is None else with_average(now)


def init(
    model: nn.Module, optimizer: optax.GradientTransformation, key, mix, plateau, average=True,
    phases=False, adapters: lora.Lora | None = None,
) -> State:  # fmt: skip
    """Initialise for mixtures like `mix` [batch, channel, time], which may be a mere shape."""
    # drawn as `init` does, but without computing what the network makes of a mixture
    collections: dict[str, Any] = dict(model.lazy_init(key, mix))
    params, frozen = collections.pop("params"), None
    if adapters is not None:
        params, frozen = adapters.split(key, params)
    zero = jnp.zeros((), jnp.int32)
    state = State(
        step=zero,
        params=params,
        collections=collections,
        opt_state=optimizer.init(params),
        average=None,
        plateau=plateau,
        counters=dict.fromkeys(COUNTERS + PHASE_COUNTERS if phases else COUNTERS, zero),
        frozen=frozen,
    )
    return with_average(state) if average else state


def with_average(state: State) -> State:
    """Let the average begin at the weights as they are."""
    trained = {"params": state.params, **state.collections}
    return dataclasses.replace(state, average=jax.tree.map(jnp.copy, trained))
