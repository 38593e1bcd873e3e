"""Change single stems, each with a probability, in one of several ways; the others cost nothing.

The rule of AIMLESS's augmentations (Sound Demixing Challenge 2023, `CudaBase`): every stem of every
example is chosen by itself, and every chosen one gets one of the ways, all equally probable; what
comes out is cut or filled with silence at its end.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax


def draw(key, sources: int, probability: float, ways: int) -> Array:
    """Draw in which of the `ways` each source is changed, [source]; -1: not at all.

    Raises ValueError unless `probability` is one and there is a way.
    """
    check_probability(probability)
    if ways < 1:
        raise ValueError("nothing to choose from, wanted at least one value")
    for_choice, for_way = jax.random.split(key)
    chosen = jax.random.uniform(for_choice, (sources,)) < probability
    return jnp.where(chosen, jax.random.randint(for_way, (sources,), 0, ways), -1)


def check_probability(probability: float) -> None:
    """Raise ValueError unless it is one."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability is {probability}, wanted 0 to 1")


def changed(stems: Array, ways: Array, change: Callable[[Array, Array], Array]) -> Array:
    """Change stems [source, channel, time] in the `ways` [source] that `draw` drew.

    `change(stem, way)` gets and returns one stem [channel, time]. It runs for the chosen ones only,
    one after the other, as often as there are any: not under `vmap`, which would compute all.
    """
    first = jnp.argsort(ways < 0)  # the chosen ones come first

    def one(number, stems):
        source = first[number]
        return stems.at[source].set(change(stems[source], ways[source]))

    return lax.fori_loop(0, jnp.sum(ways >= 0), one, stems)


def one_of(branches: list[Callable[[Array], Array]]) -> Callable[[Array, Array], Array]:
    """`change` for `changed`: that of the functions [channel, time] -> [channel, any] drawn."""

    def change(stem: Array, way: Array) -> Array:
        fitting = [lambda wave, one=one: fitted(one(wave), stem.shape[-1]) for one in branches]
        return lax.switch(way, fitting, stem)

    return change


def fitted(wave: Array, length: int) -> Array:
    """Cut or fill the end of [channel, time] -> [channel, length]."""
    missing = max(0, length - wave.shape[-1])
    return jnp.pad(wave[..., :length], ((0, 0), (0, missing)))
