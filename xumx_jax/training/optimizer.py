"""Optimizers and learning-rate schedules by name, as optax transformations."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from xumx_jax.errors import UserError


def scale_by_nnabla_adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8):
    """Adam as in Kingma and Ba's closing remark of section 2, which NNabla implements.

    `eps` joins the square root before bias correction; optax and PyTorch add it after. The two
    differ where gradients are tiny and in the first steps.
    """

    def update(updates, state, params=None):
        count = state.count + 1
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        size = jnp.sqrt(1 - b2**count) / (1 - b1**count)
        steps = jax.tree.map(lambda m, v: size * m / (jnp.sqrt(v) + eps), mu, nu)
        return steps, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def l2(weight_decay: float, adam: optax.GradientTransformation) -> optax.GradientTransformation:
    """Add decay to the gradient before Adam sees it, as the originals do; not AdamW."""
    return optax.chain(optax.add_decayed_weights(weight_decay), adam)


OPTIMIZERS = {
    "adam": lambda decay: l2(decay, optax.scale_by_adam()),
    "adam_nnabla": lambda decay: l2(decay, scale_by_nnabla_adam()),
    "adamw": lambda decay: optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(decay)),
}

SCHEDULES = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps, alpha=0.01),
}


def build_schedule(name: str, learning_rate: float, steps: int, warmup: int) -> optax.Schedule:
    """Learning rate as a function of the step: up linearly for `warmup` steps, then as `name` says.

    Raises UserError on an unknown name.
    """
    if name not in SCHEDULES:
        raise UserError(f"unknown schedule {name!r}; known: {', '.join(SCHEDULES)}")
    after = SCHEDULES[name](learning_rate, max(steps - warmup, 1))
    if warmup == 0:
        return after
    before = optax.linear_schedule(0.0, learning_rate, warmup)
    return optax.join_schedules([before, after], [warmup])


def build(
    name: str, weight_decay: float, clip: float | None = None, accumulate: int = 1
) -> optax.GradientTransformation:
    """Make the optimizer called `name`: clip the global norm (unless None), then adapt.

    Its updates are directions of ascent, to be scaled by minus the learning rate. With `accumulate`
    above 1, the gradients of that many calls are averaged and only the last call gives an update.
    Raises UserError on an unknown name.
    """
    if name not in OPTIMIZERS:
        raise UserError(f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}")
    clipping = [optax.clip_by_global_norm(clip)] if clip else []
    adapt = optax.chain(*clipping, OPTIMIZERS[name](weight_decay))
    if accumulate == 1:
        return adapt
    return optax.MultiSteps(adapt, accumulate).gradient_transformation()


def carried_over(state: optax.OptState, fresh: optax.OptState) -> optax.OptState:
    """`fresh`, of an optimizer of the same name from `build`, with what `state` knows of the past.

    Gradients that wait for their update are dropped.
    """
    *clipping, _ = without_waiting(fresh)
    adapted = (*clipping, without_waiting(state)[-1])
    if isinstance(fresh, optax.MultiStepsState):
        return fresh._replace(inner_opt_state=adapted)
    return adapted


def without_waiting(state: optax.OptState) -> tuple:
    """The states that `build` chains, clipping and adapting, without accumulated gradients."""
    chained: Any = state.inner_opt_state if isinstance(state, optax.MultiStepsState) else state
    return chained
