"""The sliced constant-Q transform (sliCQ): bands of any widths, exactly inverted."""

from xumx_jax.transforms.slicq.scales import SCALES
from xumx_jax.transforms.slicq.transform import SliCQ

__all__ = ["SCALES", "SliCQ"]
