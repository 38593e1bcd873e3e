"""Augmentations: random changes of the true stems of an example, inside the training step.

Each is a function `(stems [source, channel, time], key, **options) -> stems` of the same shape, and
an entry of AUGMENTATIONS. It runs on the device, compiled into the step, for one example after the
other: what `lax.cond` and loops leave out costs nothing. The mixture is the sum of what comes out.
Each draws from its own stream of random numbers, keyed by the seed, the index of the example in the
run and its name, so its numbers depend neither on the other augmentations nor on the number of
devices. One that needs files has another entry in FILES: what reads them, before the run. What
decides which excerpts meet, and effects that run on the host, are in `pipelines.mixing`.

mono               both channels alike
speed              resampled: faster and higher, or slower and lower
pitch              by a phase vocoder: higher or lower
impulse            in other rooms
impulse_responses  what `impulse` reads, before the run
selection          which stems are changed, and in which way
"""

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax import files
from xumx_jax.augment.impulse import impulse
from xumx_jax.augment.impulse_responses import impulse_responses
from xumx_jax.augment.mono import mono
from xumx_jax.augment.pitch import pitch
from xumx_jax.augment.speed import speed
from xumx_jax.errors import UserError

AUGMENTATIONS: dict[str, Callable] = {
    "mono": mono,
    "speed": speed,
    "pitch": pitch,
    "impulse": impulse,
}
# {augmentation: {argument: reader}}: `reader(rate, channels, **options)` reads an array, a constant
# of the step, from files; its options are the augmentation's too.
FILES: dict[str, dict[str, Callable[..., np.ndarray]]] = {
    "impulse": {"responses": impulse_responses},
}
Chosen = tuple[tuple[str, partial], ...]


def options_of(name: str) -> dict[str, Any]:
    """The options of an augmentation and their defaults. Raises UserError on an unknown name."""
    if name not in AUGMENTATIONS:
        raise UserError(f"unknown augmentation {name!r}; known: {', '.join(AUGMENTATIONS)}")
    readers = FILES.get(name, {}).values()
    return {
        option: default
        for function in (*readers, AUGMENTATIONS[name])
        for option, default in keywords(function).items()
    }


def keywords(function: Callable) -> dict[str, Any]:
    """The keyword-only arguments of a function and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build(
    wanted: Sequence[tuple[str, Mapping[str, Any]]], rate: int = 44_100, channels: int = 2
) -> Chosen:
    """Make augmentations from ((name, {option: value}), ...), and read the files they need.

    `rate` and `channels` are those of the stems. Raises UserError on unknown names and options, and
    on files that do not fit.
    """
    if not all(map(_is_pair, wanted)):
        raise UserError(f"augment is {wanted!r}, wanted ((name, {{option: value}}), ...)")
    names = [name for name, _ in wanted]
    if len(set(names)) < len(names):
        raise UserError(f"augment names {', '.join(names)}; wanted each once")
    made = []
    for name, given in wanted:
        known = options_of(name)
        if unknown := set(given) - set(known):
            raise UserError(f"augmentation {name!r} has no option {', '.join(sorted(unknown))}")
        options = known | dict(given)
        for argument, reader in FILES.get(name, {}).items():
            own = {option: options.pop(option) for option in keywords(reader)}
            options[argument] = reader(rate, channels, **own)
        made.append((name, partial(AUGMENTATIONS[name], **options)))
    return tuple(made)


def digest(augmentations: Chosen) -> str:
    """SHA-256 of what was read from files; empty if nothing was."""
    arguments = [value for _, function in augmentations for value in function.keywords.values()]
    read = [value for value in arguments if isinstance(value, np.ndarray)]
    return files.digest_of(read) if read else ""


def _is_pair(pair) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return False
    return isinstance(pair[0], str) and isinstance(pair[1], Mapping)


def check(augmentations: Chosen, shape: tuple[int, int, int]) -> None:
    """Raise UserError if one refuses its options, or examples [source, channel, time] of `shape`.

    Nothing is computed, and no device is touched.
    """
    for name, function in augmentations:
        stems = jax.ShapeDtypeStruct(shape, jnp.float32)
        try:
            found = jax.eval_shape(function, stems, jax.eval_shape(jax.random.key, 0))
        except (TypeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(f"augmentation {name!r}: {first}") from error
        if (found.shape, found.dtype) != (stems.shape, stems.dtype):
            raise UserError(
                f"augmentation {name!r} makes {found.dtype} {found.shape} of float32 {shape}"
            )


def apply(augmentations: Chosen, stems: Array, seed: int, indices: Array) -> Array:
    """Augment a batch [batch, source, channel, time]; `indices` are those of its examples."""
    for name, function in augmentations:
        own = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
        keys = jax.vmap(partial(jax.random.fold_in, own))(indices)
        # not vmap, which computes every branch for every example
        stems = lax.map(lambda example, function=function: function(*example), (stems, keys))
    return stems
