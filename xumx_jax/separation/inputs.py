"""Make a mixture fit a model: finite samples, and one or two channels."""

import numpy as np

from xumx_jax.errors import UserError, warn


def finite(block: np.ndarray) -> tuple[np.ndarray, int]:
    """Replace samples that are NaN or infinite by 0 -> (block, number replaced)."""
    good = np.isfinite(block)
    bad = int(block.size - np.count_nonzero(good))
    return (np.where(good, block, np.float32(0)) if bad else block), bad


class InputBlocks:
    """Iterate over blocks, made finite and with the model's channels; counts what was odd.

    channels   of the stems: those of the blocks, at most two
    samples    so far
    """

    def __init__(self, blocks, model_channels):
        self._blocks, self._model_channels = blocks, model_channels
        self.channels, self.samples, self.bad = 0, 0, 0
        self._width = None  # of the first block

    def __iter__(self):
        for block in self._blocks:
            block = np.asarray(block, np.float32)
            if block.ndim != 2 or not block.shape[0]:
                raise UserError(f"a block has shape {block.shape}; wanted [channel, time]")
            if self._width not in (None, block.shape[0]):
                raise UserError(
                    f"a block has {block.shape[0]} channels; wanted {self._width}, as the first"
                )
            if self._width is None and block.shape[0] > 2:
                warn(
                    f"the mixture has {block.shape[0]} channels: the front pair (the first two) is "
                    "separated into stereo stems"
                )
            self._width = block.shape[0]
            self.channels = min(2, self._width)
            self.samples += block.shape[1]
            block, bad = finite(block)
            self.bad += bad
            block = block[:2]
            yield np.repeat(block, 2, axis=0) if len(block) < self._model_channels else block

    def warn(self):
        """Warn about what was odd."""
        if not self.samples:
            warn("the mixture has no samples: the stems are empty")
        if self.bad:
            warn(f"{self.bad} samples are NaN or infinite and were replaced by 0")
