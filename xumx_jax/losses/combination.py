"""Which sources are summed before an estimate is compared with the truth."""

import numpy as np

from xumx_jax.stems import Stems


def subsets(sources: int) -> np.ndarray:
    """All proper non-empty subsets as 0/1 rows, [subset, source]: 14 rows for 4 sources."""
    codes = np.arange(1, 2**sources - 1)
    return (codes[:, None] >> np.arange(sources) & 1).astype(np.float32)


def groups_of(est: Stems, combinations: bool) -> np.ndarray:
    """Rows [group, source]: all proper subsets of the sources, or each source alone."""
    sources = est.wave.shape[1]
    return subsets(sources) if combinations and sources > 1 else np.eye(sources, dtype=np.float32)
