"""Models that others publish, and what is known about them: rows by name, one file per family.

Downloading and converting them is not here but in `xumx_jax.weights.zoo`.
"""

from xumx_jax.weights.published import demucs, htdemucs, msst, open_unmix, slicq, xumx
from xumx_jax.weights.published.rows import FOUR, PROTOCOLS, File, Published, PublishedMember

PUBLISHED: dict[str, Published] = {
    **xumx.ROWS,
    **open_unmix.ROWS,
    **demucs.ROWS,
    **htdemucs.ROWS,
    **msst.ROWS,
    **slicq.ROWS,
}
__all__ = ["FOUR", "PROTOCOLS", "PUBLISHED", "File", "Published", "PublishedMember"]
