"""Read any format that FFmpeg knows (through PyAV), block by block."""

from contextlib import contextmanager

import numpy as np

from xumx_jax.audio import containers
from xumx_jax.errors import UserError, warn

# Containers whose header states the length, so that a file cut short can be told from a whole one.
_STATES_LENGTH = {"mov", "matroska", "flac", "wav", "w64", "aiff", "caf"}
_BLOCK = 1 << 16
_PADDING = 4096  # what an encoder may append to fill its last packets


def open_file(path, file, stack, allow_truncated=False):
    """Open the first audio stream -> (rate, channels, samples if stated, reader, seconds).

    `reader(first, stop)` yields blocks from sample `first` up to `stop` or the end; `seconds` is
    FFmpeg's estimate of the length.
    """
    cut, counted = containers.ogg_pages(file).cut, containers.mp3_states_length(file)
    with _named(path):
        container = stack.enter_context(containers.open_container(file))
        if not container.streams.audio:
            raise UserError(f"{path}: holds no audio stream; wanted an audio file")
        stream = container.streams.audio[0]
        rate, channels = stream.rate, stream.channels
        stated = _stated_frames(container, stream, counted)

    def read(first, stop):
        at = 0
        for block in _joined(_blocks(path, container, stream, cut, counted, allow_truncated)):
            begin, at = at, at + block.shape[1]
            if at > first:
                yield block[:, max(0, first - begin) : None if stop is None else stop - begin]
            if stop is not None and at >= stop:
                return

    return rate, channels, stated or None, read, (container.duration or 0) / 1e6


def _blocks(path, container, stream, cut, counted, allow_truncated):
    """Decode the whole stream, one [channel, time] per frame, without the padding at its end.

    cut      whether the last page of an Ogg file is not whole
    counted  whether an MP3 counts its frames
    """
    decoded = damaged = 0
    # MP4 states how much of the last packets is padding, but FFmpeg returns it all the same.
    end = _length(container, stream) if "mov" in _names(container) else 0
    spare = []  # what lies beyond the stated end: padding, or more music if the header is wrong
    with _named(path):
        for block in _frames(container, stream):
            if block is None:
                damaged += 1
                continue
            room = max(0, end - decoded)
            decoded += block.shape[1]
            if not end or block.shape[1] <= room:
                yield block
                continue
            yield block[:, :room]
            spare.append(block[:, room:])
            if decoded - end > _PADDING:
                yield from spare
                spare, end = [], 0
        # Only now: for some containers the length is known when they have been read.
        stated = _stated_frames(container, stream, counted)
    # Encoders pad and headers round, so up to 0.1 s may be missing from a whole file.
    if decoded < stated - max(0.1 * stream.rate, _PADDING):
        report_truncation(path, decoded, stated, allow_truncated and decoded)
    elif cut:
        report_truncation(path, decoded, None, allow_truncated and decoded)
    if damaged and not decoded:
        raise UserError(f"{path}: not an audio file that can be decoded (every packet is damaged)")
    if damaged > 1:  # a single one at the end is an ordinary tag
        warn(f"{path}: {damaged} damaged packets were skipped")


def _frames(container, stream):
    """Yield float32 [channel, time] for each frame, None for each damaged packet."""
    import av
    from av.error import FFmpegError

    to_float = av.AudioResampler("fltp", stream.layout, stream.rate)
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except FFmpegError:
            yield None
            continue
        for frame in decoded:
            for block in to_float.resample(frame):
                yield block.to_ndarray()


def _joined(blocks):
    """Join short blocks into longer ones."""
    held, size = [], 0
    for block in blocks:
        held.append(block)
        size += block.shape[1]
        if size >= _BLOCK:
            yield np.concatenate(held, axis=1)
            held, size = [], 0
    if held:
        yield np.concatenate(held, axis=1)


@contextmanager
def _named(path):
    """Turn what PyAV raises into a UserError that names the file."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise UserError(f"{path}: not an audio file that can be decoded ({reason})") from None


def _stated_frames(container, stream, counted) -> int:
    """Length in samples that the container's header states, 0 if it is only an estimate."""
    names = _names(container)
    if names & _STATES_LENGTH or ("mp3" in names and counted):
        return _length(container, stream)
    return 0


def _names(container) -> set[str]:
    return set(container.format.name.split(","))


def _length(container, stream) -> int:
    """Length in samples, as far as FFmpeg has found out."""
    if stream.duration:
        return round(stream.duration * stream.time_base * stream.rate)
    return round((container.duration or 0) / 1e6 * stream.rate)


def report_truncation(path, got, stated, allowed):
    """Raise UserError, or warn if files that are cut short are `allowed`."""
    ends = f"is cut off after {got}" if stated is None else f"ends after {got} of {stated}"
    message = f"{path}: the file {ends} samples"
    if not allowed:
        raise UserError(f"{message}; use the whole file, or --allow-truncated")
    warn(f"{message}; only these were read")
