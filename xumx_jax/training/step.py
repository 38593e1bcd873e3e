"""The training step: one pure function per replica, compiled over all devices.

`per_replica` has the semantics of `jax.pmap`: it sees its share of the batch and names the axis
that joins the replicas. `train_step` compiles it as `jit(shard_map(...))`, which is what pmap
itself lowers to, less pmap's stacked device axis.
"""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array, lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xumx_jax import augment
from xumx_jax.layers.dense import autocast
from xumx_jax.metrics import energy_ratio
from xumx_jax.models import interface
from xumx_jax.separation.chunk_runner import filtered
from xumx_jax.stems import Stems
from xumx_jax.training import lora, micro_batches
from xumx_jax.training.batches import Examples, Pieces, render, to_channels
from xumx_jax.training.recompute import recomputing
from xumx_jax.training.state import State

AXIS = "data"


class Step(NamedTuple):
    """The parts of a training step; everything here is fixed when it is compiled.

    schedule       (updates so far) -> learning rate, before the plateau's factor
    accumulate     batches per update, as the optimizer was built with
    decay          of the running average
    seed           of dropout and augmentations
    mixing         [target, source]: which of the data's sources add up to which of the model's;
                   None: the same sources in the same order
    augmentations  of the true stems, from `augment.build`
    recompute      whether what layers compute on their way is computed again for their gradients
    micro_batch    the most examples that a device computes at a time; None: all of its share
    compute        precision of products in training, for a model that says `autocast`
    valid_filter   key of POST_FILTERS: what comes between estimates and the SDRs of validation
    """

    model: nn.Module
    loss: Callable
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    accumulate: int = 1
    decay: float = 0.0
    seed: int = 0
    mixing: np.ndarray | None = None
    augmentations: augment.Chosen = ()
    recompute: bool = False
    micro_batch: int | None = None
    compute: str = "float32"
    valid_filter: str | None = None


def per_replica(state: State, examples: Examples, *, this: Step) -> tuple[State, dict[str, Array]]:
    """Take one step on this replica's examples.

    Dropout keys derive from seed and step; nothing random is stored. A step whose loss,
    gradient or learning rate is not finite changes only the counters.
    """
    stems = augmented(to_channels(render(examples), this.model), state.step, this)
    mix = stems.sum(1)
    stems = mixed(stems, this.mixing)
    key = jax.random.fold_in(jax.random.key(this.seed), state.step)

    def objective(params, mix, stems):
        ref = reference(this.model, stems)
        with recomputing(this.model) if this.recompute else nullcontext():
            est, updates = this.model.apply(
                {"params": lora.merged(params, frozen), **state.collections},
                mix,
                train=True,
                mutable=list(state.collections),
                rngs={"dropout": key},
            )
        value, parts = this.loss(est, ref, mix)
        return value, (parts, dict(updates))

    # shard_map hands over gradients of replicated parameters already summed, pmap does not. Adding
    # a zero made from this replica's data makes the parameters its own in both, so that one pmean
    # is right in both.
    zero = jnp.zeros_like(stems[0, 0, 0, 0])
    own, frozen = jax.tree.map(lambda p: p + zero, (state.params, state.frozen))
    (value, (parts, collections)), grads = micro_batches.value_and_grad(
        objective, own, (mix, stems), this.micro_batch, AXIS
    )
    grads, value, parts = lax.pmean((grads, value, parts), AXIS)

    counters = state.counters
    rate = learning_rate(state.step, counters, state.plateau, this)
    norm = optax.tree.norm(grads)
    good = jnp.isfinite(value) & jnp.isfinite(norm) & jnp.isfinite(rate)
    tried = updated(state, grads, collections, rate, this)
    now = jax.tree.map(partial(jnp.where, good), tried, state)
    bad = {
        "skipped": counters["skipped"] + ~good,
        "in_row": jnp.where(good, 0, counters["in_row"] + 1),
    }
    now = now.replace(step=state.step + 1, counters=counters | bad)
    return now, {"loss": value} | parts | {"lr": rate, "gradient_norm": norm} | bad


def augmented(stems: Array, steps: Array, this: Step) -> Array:
    """Augment this replica's part [batch, source, channel, time] of the batch after `steps`."""
    if not this.augmentations:
        return stems
    rows = stems.shape[0]
    first = (steps * lax.axis_size(AXIS) + lax.axis_index(AXIS)) * rows
    return augment.apply(this.augmentations, stems, this.seed, first + jnp.arange(rows))


def learning_rate(steps: Array, counters: dict, plateau, this: Step) -> Array:
    """The learning rate after `steps` steps, some of which were skipped."""
    return this.schedule(updates(steps, counters, this.accumulate)) * plateau.scale


def updates(steps: Array, counters: dict, accumulate: int) -> Array:
    """How many updates the schedule has seen after `steps` steps."""
    good = steps - counters["skipped"] - counters.get("earlier_steps", 0)
    return counters.get("earlier_updates", 0) + good // accumulate


def updated(state: State, grads, collections: dict, rate: Array, this: Step) -> State:
    """Update the parameters by the gradients."""
    directions, opt_state = this.optimizer.update(grads, state.opt_state, state.params)
    params = jax.tree.map(lambda p, d: p - rate * d, state.params, directions)
    average = state.average
    if average is not None:
        # starts as a plain mean, so that its first value is soon forgotten
        weight = jnp.maximum(1 - this.decay, 1 / (state.step + 1))
        average = optax.incremental_update({"params": params, **collections}, average, weight)
    return dataclasses.replace(
        state, params=params, collections=collections, opt_state=opt_state, average=average
    )


def reference(model: nn.Module, stems: Array) -> Stems:
    """The true stems [batch, source, channel, time] as losses compare them with a model's."""
    if model.transform is None:
        return Stems(stems)
    return Stems(stems, model.transform.forward(stems))


def mixed(stems: Array | np.ndarray, mixing: np.ndarray | None) -> Array:
    """Sum the data's sources into the model's, [batch, source, channel, time]."""
    if mixing is None:
        return jnp.asarray(stems)
    return jnp.einsum("ts,bscn->btcn", mixing, stems, precision=lax.Precision.HIGHEST)


def evaluate(variables: dict, pieces: Pieces, *, this: Step) -> dict[str, Array]:
    """Sum losses and SDRs over this replica's pieces, each alone, weighted by `pieces.weight`.

    Losses are those of the model's own estimates, SDRs of what `valid_filter` makes of them.

    Returns sums over all replicas: the losses and "weight", their divisor; "sdr_db" [source]
    and "sounding" [source], its divisor, since a silent source has no SDR.
    """

    def one(piece):
        stems, mix = (to_channels(wave, this.model) for wave in (piece.stems, piece.mix))
        stems, mix, weight = mixed(stems[None], this.mixing), mix[None], piece.weight
        est = cast(Stems, this.model.apply(variables, mix))
        ref = reference(this.model, stems)
        value, parts = this.loss(est, ref, mix)
        wave = est.wave[0]
        if this.valid_filter is not None:
            own = jax.tree.map(lambda x: x[0], est)
            wave = filtered(this.model, own, mix[0], this.valid_filter)
        true = stems[0, ..., : wave.shape[-1]]
        sounding = weight * jnp.any(true != 0, axis=(1, 2))
        sdr = energy_ratio(wave, true)
        sums = {key: weight * part for key, part in ({"loss": value} | parts).items()}
        return sums | {"weight": weight, "sdr_db": sounding * sdr, "sounding": sounding}

    sums = jax.tree.map(lambda values: values.sum(0), lax.map(one, pieces))
    return lax.psum(sums, AXIS)


def means(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weighted means that sums of `evaluate` come to; NaN dB for a source that is silent."""
    total, sounding = sums["weight"], sums["sounding"]
    with np.errstate(invalid="ignore"):
        sdr = sums["sdr_db"] / sounding
    rest = {
        key: value for key, value in sums.items() if key not in ("weight", "sounding", "sdr_db")
    }
    return {key: value / total for key, value in rest.items()} | {"sdr_db": sdr}


def mesh(devices=None) -> Mesh:
    """All devices, or those given, along one axis."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def exact(function: Callable, this: Step, compute: str = "float32") -> Callable:
    """`function(..., this=this)`; products are in `compute` unless the model sets a precision."""

    def computed(*arguments):
        with interface.matmul_precision(this.model, "dtype"), autocast(compute):
            return function(*arguments, this=this)

    return computed


def train_step(this: Step, over: Mesh) -> Callable:
    """Compile `per_replica`: (State, Examples) -> (State, values); the state is donated.

    The batch is a multiple of the number of devices. The model must normalise over the same axis:
    `axis_name="data"`.
    """
    wrapped = jax.shard_map(
        exact(per_replica, this, this.compute), mesh=over, in_specs=(P(), P(AXIS)), out_specs=P()
    )
    return jax.jit(wrapped, donate_argnums=0)


def eval_step(this: Step, over: Mesh) -> Callable:
    """Compile `evaluate`: (variables, Pieces) -> sums."""
    wrapped = jax.shard_map(
        exact(evaluate, this), mesh=over, in_specs=(P(), P(AXIS)), out_specs=P()
    )
    return jax.jit(wrapped)


def shard(batch, over: Mesh):
    """Spread this process's part of a batch over its devices."""
    sharding = NamedSharding(over, P(AXIS))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def replicate(tree, over: Mesh):
    """Copy a tree to all devices."""
    return jax.device_put(tree, NamedSharding(over, P()))
