"""The training step: one pure function per replica, compiled over all devices.

`per_replica` has the semantics of `jax.pmap`: it sees its share of the batch and names the axis
that joins the replicas. `train_step` compiles it as `jit(shard_map(...))`, which is what pmap
itself lowers to, less pmap's stacked device axis.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array, lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xumx_jax.stems import Stems
from xumx_jax.training.state import State

AXIS = "data"


def per_replica(
    state: State,
    stems: Array,
    *,
    model: nn.Module,
    loss: Callable,
    optimizer: optax.GradientTransformation,
    decay: float,
    seed: int,
) -> tuple[State, dict[str, Array]]:
    """Take one step on this replica's stems [batch, source, channel, time].

    Dropout keys derive from seed, step and replica; nothing random is stored.
    """
    mix = stems.sum(1)
    ref = Stems(stems, (model.transform.forward(stems),))
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    key = jax.random.fold_in(key, lax.axis_index(AXIS))

    def objective(params):
        est, updates = model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            mix,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        value, parts = loss(est, ref, mix)
        return value, (parts, updates["batch_stats"])

    # shard_map hands over gradients of replicated parameters already summed, pmap does not. Adding
    # a zero made from this replica's data makes the parameters its own in both, so that one pmean
    # is right in both.
    zero = jnp.zeros_like(stems[0, 0, 0, 0])
    own = jax.tree.map(lambda p: p + zero, state.params)
    (value, (parts, batch_stats)), grads = jax.value_and_grad(objective, has_aux=True)(own)
    grads, value, parts = lax.pmean((grads, value, parts), AXIS)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # the average starts as a plain mean, so that its first value is soon forgotten
    weight = jnp.maximum(1 - decay, 1 / (state.step + 1))
    now = {"params": params, "batch_stats": batch_stats}
    average = optax.incremental_update(now, state.average, weight)
    return State(state.step + 1, params, batch_stats, opt_state, average), {"loss": value} | parts


def evaluate(
    variables: dict, stems: Array, weight: Array, *, model: nn.Module, loss: Callable
) -> dict[str, Array]:
    """Sum losses over this replica's stems [batch, source, channel, time], each item alone.

    `weight` [batch] is 0 for padding. Returns sums over all replicas, with the sum of weights.
    """

    def one(stems):
        mix = stems.sum(0)[None]
        est = model.apply(variables, mix)
        ref = Stems(stems[None], (model.transform.forward(stems[None]),))
        value, parts = loss(est, ref, mix)
        return {"loss": value} | parts

    values = lax.map(one, stems)
    sums = {name: jnp.tensordot(weight, value, 1) for name, value in values.items()}
    return lax.psum(sums | {"weight": weight.sum()}, AXIS)


def mesh(devices=None) -> Mesh:
    """All devices, or those given, along one axis."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def train_step(model, loss, optimizer, decay: float, seed: int, over: Mesh) -> Callable:
    """Compile `per_replica`: (State, stems [batch, ...]) -> (State, losses); the state is donated.

    The batch is a multiple of the number of devices. The model must normalise over the same axis:
    `axis_name="data"`.
    """
    options = {"model": model, "loss": loss, "optimizer": optimizer, "decay": decay, "seed": seed}
    wrapped = jax.shard_map(
        partial(per_replica, **options), mesh=over, in_specs=(P(), P(AXIS)), out_specs=P()
    )
    return jax.jit(wrapped, donate_argnums=0)


def eval_step(model, loss, over: Mesh) -> Callable:
    """Compile `evaluate`: (variables, stems [batch, ...], weight [batch]) -> sums."""
    wrapped = jax.shard_map(
        partial(evaluate, model=model, loss=loss),
        mesh=over,
        in_specs=(P(), P(AXIS), P(AXIS)),
        out_specs=P(),
    )
    return jax.jit(wrapped)


def shard(batch, over: Mesh):
    """Spread this process's part of a batch over its devices."""
    sharding = NamedSharding(over, P(AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def replicate(tree, over: Mesh):
    """Copy a tree to all devices."""
    return jax.device_put(tree, NamedSharding(over, P()))
