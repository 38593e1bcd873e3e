"""Augmentations: random changes of the true stems of an example, inside the training step.

Each is a function `(stems [source, channel, time], key, **options) -> stems` of the same shape, and
an entry of AUGMENTATIONS. It runs on the device, compiled into the step; the mixture is the sum of
what comes out. Each draws from its own stream of random numbers, keyed by the seed, the index of
the example in the run and its name, so its numbers depend neither on the other augmentations nor on
the number of devices. What decides which excerpts meet, and effects that run on the host, are in
`pipelines.mixing`.
"""

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from jax import Array

from xumx_jax.augment.mono import mono
from xumx_jax.errors import UserError

AUGMENTATIONS: dict[str, Callable] = {"mono": mono}
Chosen = tuple[tuple[str, Callable], ...]


def options_of(name: str) -> dict[str, Any]:
    """The options of an augmentation and their defaults. Raises UserError on an unknown name."""
    if name not in AUGMENTATIONS:
        raise UserError(f"unknown augmentation {name!r}; known: {', '.join(AUGMENTATIONS)}")
    parameters = inspect.signature(AUGMENTATIONS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> Chosen:
    """Make augmentations from ((name, {option: value}), ...).

    Raises UserError on unknown names and options, and on values that an augmentation refuses.
    """
    if not all(len(pair) == 2 and isinstance(pair[1], Mapping) for pair in wanted):
        raise UserError(f"augment is {wanted!r}, wanted ((name, {{option: value}}), ...)")
    names = [name for name, _ in wanted]
    if len(set(names)) < len(names):
        raise UserError(f"augment names {', '.join(names)}; wanted each once")
    made = []
    for name, given in wanted:
        known = options_of(name)
        if unknown := set(given) - set(known):
            raise UserError(f"augmentation {name!r} has no option {', '.join(sorted(unknown))}")
        function = partial(AUGMENTATIONS[name], **(known | dict(given)))
        try:  # values that make no sense are refused before anything is read
            jax.eval_shape(function, jax.ShapeDtypeStruct((1, 2, 8), "float32"), jax.random.key(0))
        except ValueError as error:
            raise UserError(f"augmentation {name!r}: {error}") from error
        made.append((name, function))
    return tuple(made)


def apply(augmentations: Chosen, stems: Array, seed: int, indices: Array) -> Array:
    """Augment a batch [batch, source, channel, time]; `indices` are those of its examples."""
    for name, function in augmentations:
        own = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
        keys = jax.vmap(partial(jax.random.fold_in, own))(indices)
        stems = jax.vmap(function)(stems, keys)
    return stems
