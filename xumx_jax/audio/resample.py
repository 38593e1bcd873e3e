"""Resample a whole signal, or one that comes in blocks, with exact lengths."""

import numpy as np

from xumx_jax.errors import UserError

QUALITY = "VHQ"


def whole_rate(rate) -> int:
    """A sample rate of any number type as an int, in hertz. Raises UserError unless it is whole."""
    try:
        if rate >= 1 and rate == int(rate):
            return int(rate)
    except (TypeError, ValueError, OverflowError):  # None, text, NaN, infinity, an array
        pass
    raise UserError(f"the sample rate is {rate!r}; wanted a whole number of hertz")


def resample(wave, rate, target_rate, length=None):
    """Resample [channel, time] -> [channel, length], by default ceil(time * target / rate).

    Going to another rate and back with `length` restores the exact number of samples.
    """
    import soxr

    if length is None:
        length = resampled_length(wave.shape[-1], rate, target_rate)
    if rate == target_rate or not wave.size:
        return _fit(wave, length)
    padded = np.pad(wave, ((0, 0), (0, _margin(rate, target_rate))))
    return _fit(soxr.resample(padded.T, rate, target_rate, quality=QUALITY).T, length)


def resampled_length(length, rate, target_rate) -> int:
    return -(-length * target_rate // rate)


class StreamResampler:
    """Resample a signal that comes in blocks: the same as `resample`, in bounded memory.

    `push(block)` takes [channel, time] and returns [channel, some time]; `finish(length)` returns
    the rest, so that the whole has `length` samples, by default ceil(time * target / rate).
    """

    def __init__(self, rate: int, target_rate: int, channels: int):
        import soxr

        self._rates, self._channels = (rate, target_rate), channels
        self._taken = self._given = 0
        self._stream = None
        if rate != target_rate:
            self._stream = soxr.ResampleStream(
                rate, target_rate, channels, dtype="float32", quality=QUALITY
            )

    def push(self, block) -> np.ndarray:
        self._taken += block.shape[1]
        if self._stream is not None:
            # soxr needs contiguous [time, channel]
            block = self._stream.resample_chunk(np.ascontiguousarray(block.T, np.float32)).T
        self._given += block.shape[1]
        return block

    def finish(self, length: int | None = None) -> np.ndarray:
        if length is None:
            length = resampled_length(self._taken, *self._rates)
        rest = np.zeros((self._channels, 0), np.float32)
        if self._stream is not None and self._taken:
            silence = np.zeros((_margin(*self._rates), self._channels), np.float32)
            rest = self._stream.resample_chunk(silence, last=True).T
        if length < self._given:
            raise ValueError(f"{self._given} samples were given already; wanted {length}")
        return _fit(rest, length - self._given)


def _margin(rate, target_rate) -> int:
    """Silence to append: soxr sometimes rounds the length down, so it gets more than is kept."""
    return 2 + 2 * rate // target_rate


def _fit(wave, length):
    """Cut or zero-pad the end of [channel, time] -> [channel, length]."""
    if wave.shape[-1] == length and wave.dtype == np.float32:
        return wave
    missing = max(0, length - wave.shape[-1])
    return np.ascontiguousarray(np.pad(wave[:, :length], ((0, 0), (0, missing))), np.float32)
