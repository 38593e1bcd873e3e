"""Sound whose rate or number of channels changes on the way, made one stream."""

import numpy as np

from xumx_jax.audio.resample import StreamResampler
from xumx_jax.errors import warn

# FFmpeg's usual arrangements of so many channels
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def uniform(path, pieces, rate, channels, at=0):
    """Convert (rate, [channel, time]) pieces to one rate and number of channels -> blocks.

    Radio streams and files that were put together change in this way. Mono is repeated for stereo,
    stereo averaged for mono; of more channels FFmpeg makes what it usually does. The first change
    is told in a warning, with its time; `at` samples came before.
    """
    now, stream, told = rate, None, False
    for given, block in pieces:
        if not told and (given, len(block)) != (rate, channels):
            told = True
            warn(
                f"{path}: at {at / rate:.2f} s the sound changes from {rate} Hz, {_told(channels)} "
                f"to {given} Hz, {_told(len(block))}; it was converted to the former"
            )
        if given != now:
            if stream is not None:
                rest = stream.finish()
                at += rest.shape[1]
                yield rest
            now, stream = given, None
            if given != rate:
                stream = StreamResampler(given, rate, channels)
        if len(block) != channels:
            block = _remixed(block, channels)
        if stream is not None:
            block = stream.push(block)
        at += block.shape[1]
        yield block
    if stream is not None:
        yield stream.finish()


def part(blocks, first, stop):
    """Yield what lies between the samples `first` and `stop` (None: the end) of all blocks."""
    at = 0
    for block in blocks:
        begin, at = at, at + block.shape[1]
        if at > first:
            yield block[:, max(0, first - begin) : None if stop is None else stop - begin]
        if stop is not None and at >= stop:
            return


def _told(channels) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def _remixed(block, channels):
    """[channel, time] -> so many channels."""
    if (len(block), channels) == (1, 2):
        return np.repeat(block, 2, axis=0)
    if (len(block), channels) == (2, 1):
        return block.mean(axis=0, keepdims=True)
    import av

    given, wanted = _LAYOUTS.get(len(block)), _LAYOUTS.get(channels)
    if given is None or wanted is None:
        raise ValueError(f"it changes from {channels} channels to {len(block)}")
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", given)
    frame.sample_rate = 48000  # any, which stays
    (frame,) = av.AudioResampler("fltp", wanted, 48000).resample(frame)
    return frame.to_ndarray()
