"""What others offer for download, and what is known of it: rows by name, a file a family."""

from xumx_jax.weights.published import open_unmix, xumx
from xumx_jax.weights.published.rows import FOUR, File, Published, PublishedMember

PUBLISHED: dict[str, Published] = {**xumx.ROWS, **open_unmix.ROWS}
__all__ = ["FOUR", "PUBLISHED", "File", "Published", "PublishedMember"]
