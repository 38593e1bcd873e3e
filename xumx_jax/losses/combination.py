"""Which sources are summed before an estimate is compared with the truth."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.stems import Stems


def subsets(sources: int) -> np.ndarray:
    """All proper non-empty subsets as 0/1 rows, [subset, source]: 14 rows for 4 sources."""
    codes = np.arange(1, 2**sources - 1)
    return (codes[:, None] >> np.arange(sources) & 1).astype(np.float32)


def groups_of(est: Stems, combinations: bool) -> np.ndarray:
    """Rows [group, source]: all proper subsets of the sources, or each source alone."""
    sources = est.wave.shape[1]
    return subsets(sources) if combinations and sources > 1 else np.eye(sources, dtype=np.float32)


def over_groups(measure: Callable[[Array], Array], groups: np.ndarray) -> Array:
    """The mean of `measure` over groups; it gets a row [source].

    For measures that are not quadratic, so that each group's sum has to be computed: one group
    after another, and again in the gradient, so that only one is in memory.
    """
    if len(groups) == 1:
        return measure(jnp.asarray(groups[0]))
    return lax.map(jax.checkpoint(measure), jnp.asarray(groups)).mean()


def total(values: Array, row: Array) -> Array:
    """Sum [batch, source, ...] over the sources of a group's row, [batch, ...]."""
    return (values * row.reshape(-1, *(1,) * (values.ndim - 2))).sum(1)
