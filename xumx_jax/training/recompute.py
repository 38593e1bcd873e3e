"""Gradient checkpointing: compute the insides of layers again in the backward pass, not keep them.

What a layer computes on its way is then kept only while its own gradient is computed: less memory,
for one more forward pass (Chen et al. 2016, arXiv:1604.06174). A model names the layers in
`checkpointed_layers`; nothing in it has to know whether they are.
"""

from contextlib import AbstractContextManager

from flax import linen as nn
from jax import Array

from xumx_jax.models.interface import optional


def recomputing(model: nn.Module) -> AbstractContextManager:
    """A context in which the layers of `model` that it names are checkpointed when applied."""
    layers, inside = tuple(optional(model, "checkpointed_layers")), False

    def intercept(function, given, options, context):
        nonlocal inside
        wanted = context.method_name == "__call__" and isinstance(context.module, layers)
        if inside or not wanted:
            return function(*given, **options)
        arrays = [place for place, value in enumerate(given) if has_arrays(value)]

        def call(module, *inputs):
            nonlocal inside
            inside = True  # layers in layers are computed again with those around them
            try:
                found = dict(zip(arrays, inputs, strict=True))
                return module(*(found.get(n, value) for n, value in enumerate(given)), **options)
            finally:
                inside = False

        return nn.remat(call)(context.module, *(given[place] for place in arrays))

    return nn.intercept_methods(intercept)


def has_arrays(value) -> bool:
    """Whether an argument is an array or a list of arrays; others are fixed when compiled."""
    if isinstance(value, list | tuple):
        return any(map(has_arrays, value))
    return isinstance(value, Array)
