"""Lengths for U-Nets over spectra that divide the frames at every scale."""

from xumx_jax.models.interface import Segment


def whole_scales(hop: int, frames: int, multiple: int) -> Segment:
    """Lengths of which a centred transform makes a multiple of so many frames; usually `frames`."""

    def following(samples: int) -> int:
        wanted = -(-samples // hop) + 1
        return (-(-wanted // multiple) * multiple - 1) * hop

    return Segment((frames - 1) * hop, next_length=following, grid=hop)
