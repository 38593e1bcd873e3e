"""Read any format that FFmpeg knows (through PyAV), block by block."""

import os
from contextlib import contextmanager
from itertools import chain

import numpy as np

from xumx_jax.audio import containers, covers
from xumx_jax.errors import CutOff, UserError, warn

# Containers whose header states the length, so that a file cut short can be told from a whole one.
_STATES_LENGTH = set("mov matroska flac aiff caf wv tta tak ape mpc mpc8 dsf".split())
_BLOCK = 1 << 16
_PADDING = 4096  # what an encoder may append to fill its last packets
_PEEK = 100  # damaged packets to step over before rate and channels are taken from the header
# Sound that starts later than this is late: beside pictures, and alone (where encoders pad).
_LATE_SECONDS, _LATE_ALONE = 0.01, 0.1
# Beyond it, times are those of a clock or damaged, or tell where a part of a stream was in it.
_LATEST_SECONDS, _LATEST_ALONE = 6 * 3600, 5


def open_file(path, file, stack, allow_truncated=False):
    """Open the first audio stream -> (rate, channels, samples if stated, reader, seconds).

    `reader(first, stop)` yields blocks from sample `first` up to `stop` or the end; `seconds` is
    FFmpeg's estimate of the length. Rate and channels are those of the first frame: headers may
    differ, and later frames are converted. Where sound starts after the pictures, silence precedes
    it.
    """
    from xumx_jax.audio.ogg import read_pages
    from xumx_jax.audio.riff import read_sound
    from xumx_jax.audio.uniform import part

    cut, counted, sound = read_pages(file).cut, _mp3_states_length(file), read_sound(file)
    with _named(path, file):
        container = stack.enter_context(containers.open_container(file))
        if not container.streams.audio:
            raise UserError(f"{path}: holds no audio stream; wanted an audio file")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UserError(f"{path}: its sound is in a format for which there is no decoder")
        frames = _frames(container, stream)
        peeked = []
        for frame in frames:
            peeked.append(frame)
            if frame is not None or len(peeked) > _PEEK:
                break
        frame = peeked[-1] if peeked else None
        if frame is None:
            rate, channels = stream.rate, stream.channels
        else:
            rate, channels = frame.sample_rate, len(frame.layout.channels)
        if not rate or not channels:
            raise UserError(f"{path}: holds no sound that can be decoded; wanted an audio file")
        stated = _stated_frames(container, stream, counted, rate)
        late = _late_seconds(container, stream)
        ahead = round(late * rate)
    cut = cut or bool(sound and sound.missing)

    def read(first, stop):
        if sound and sound.remark:
            warn(f"{path}: {sound.remark}")
        if first < ahead:
            warn(f"{path}: the sound starts {late:.2f} s late; silence was put in front of it")
        silence = (
            np.zeros((channels, min(_BLOCK, ahead - at)), np.float32)
            for at in range(0, ahead, _BLOCK)
        )
        known = container, stream, counted, rate, channels, ahead
        blocks = _blocks(path, chain(peeked, frames), known, cut, allow_truncated)
        yield from part(chain(silence, _joined(blocks)), first, stop)

    whole = stated + ahead if stated else None
    return rate, channels, whole, read, (container.duration or 0) / 1e6


def _blocks(path, frames, known, cut, allow_truncated):
    """Convert all frames to [channel, time] blocks, without the padding at the end.

    known  container, stream, whether an MP3 counts its frames, rate, channels, samples ahead
    cut    whether less is there than the container says
    """
    from xumx_jax.audio.uniform import uniform

    container, stream, counted, rate, channels, ahead = known
    decoded = 0
    damaged = []
    # MP4 states how much of the last packets is padding, but FFmpeg returns it all the same.
    end = _length(container, stream, rate) if "mov" in _names(container) else 0
    spare = []  # what lies beyond the stated end: padding, or more music if the header is wrong
    with _named(path):
        for block in uniform(path, _pieces(frames, damaged), rate, channels, ahead):
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
        stated = _stated_frames(container, stream, counted, rate)
    # Encoders pad and headers round, so up to 0.1 s may be missing from a whole file.
    if decoded < stated - max(0.1 * rate, _PADDING):
        report_truncation(path, decoded, stated, allow_truncated)
    elif cut:
        report_truncation(path, decoded, None, allow_truncated)
    if damaged and not decoded:
        raise UserError(f"{path}: not an audio file that can be decoded (every packet is damaged)")
    if len(damaged) > 1:  # a single one at the end is an ordinary tag
        warn(f"{path}: {len(damaged)} damaged packets were skipped")


def _frames(container, stream):
    """Yield each frame, None for each damaged packet."""
    from av.error import FFmpegError

    mpeg = stream.codec_context.name.startswith(("mp1", "mp2", "mp3"))
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except FFmpegError:
            yield None
            continue
        for frame in decoded:
            if mpeg:  # FFmpeg notices a change of rate one frame too late
                frame.sample_rate = stream.codec_context.sample_rate
            yield frame


def _pieces(frames, damaged):
    """Yield (rate, float32 [channel, time]) for each frame; append None to `damaged` for others."""
    import av

    kind, to_float = None, av.AudioResampler("fltp")
    for frame in frames:
        if frame is None:
            damaged.append(None)
            continue
        found = frame.format.name, frame.layout.name, frame.sample_rate
        if found != kind:
            kind = found
            to_float = av.AudioResampler("fltp", frame.layout, frame.sample_rate)
        for block in to_float.resample(frame):
            yield frame.sample_rate, block.to_ndarray()


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
def _named(path, file=None):
    """Turn what PyAV raises into a UserError that names the file."""
    from av.error import ArgumentError, FFmpegError

    try:
        yield
    except (FFmpegError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        if file is not None and isinstance(error, ArgumentError) and _is_text(file):
            raise UserError(f"{path}: is a list of other files; wanted an audio file") from None
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise UserError(f"{path}: not an audio file that can be decoded ({reason})") from None


def _is_text(file) -> bool:
    file.seek(0)
    return b"\0" not in file.read(4096)


def _stated_frames(container, stream, counted, rate) -> int:
    """Length in samples that the container's header states, 0 if it is only an estimate."""
    names = _names(container)
    if names & _STATES_LENGTH or ("mp3" in names and counted):
        return _length(container, stream, rate)
    return 0


def _mp3_states_length(file) -> bool:
    """Whether an MP3 opens with a Xing/Info tag that counts all its frames."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3":
        # four times seven bits
        skip = 10 + sum(b << s for b, s in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(skip)
    first = file.read(2048)
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0:
        return False
    flags, _, counted = (int.from_bytes(first[at + n : at + n + 4], "big") for n in (4, 8, 12))
    # With several files one after another, it tells of the first; FFmpeg takes this as their sign.
    return flags & 3 != 3 or size - skip <= counted + counted // 16


def _names(container) -> set[str]:
    return set(container.format.name.split(","))


def _length(container, stream, rate) -> int:
    """Length in samples, as far as FFmpeg has found out; 0 if unknown."""
    if stream.duration:
        return round(stream.duration * stream.time_base * rate)
    if any(_lasts(other) for other in container.streams if other is not stream):
        return 0  # the container's length may be that of the pictures
    before = max(0, (stream.start_time or 0) * stream.time_base)
    return max(0, round(((container.duration or 0) / 1e6 - before) * rate))


def _late_seconds(container, stream) -> float:
    """Time by which the sound starts after the beginning of the film, or of its own timeline."""
    if stream.start_time is None:
        return 0.0
    late = float(stream.start_time * stream.time_base)
    least, latest = _LATE_ALONE, _LATEST_ALONE
    if any(_lasts(other) for other in container.streams.video):
        late -= (container.start_time or 0) / 1e6
        least, latest = _LATE_SECONDS, _LATEST_SECONDS
    elif not _names(container) & {"mov", "matroska"}:  # times that may start anywhere
        return 0.0
    return late if least < late < latest else 0.0


def _lasts(stream) -> bool:
    """Whether a stream has a length, as a cover or an attached font has not."""
    return stream.type in ("audio", "video", "subtitle", "data") and not (
        stream.disposition.value & covers.ATTACHED
    )


def report_truncation(path, got, stated, allowed):
    """Raise UserError, or warn if files that are cut short are `allowed`."""
    if not got and allowed:
        raise CutOff(f"{path}: the file is cut off before its first samples; use the whole file")
    if not got:  # of the first samples of a FLAC, --allow-truncated may read some
        wanted = "its first samples" if stated is None else f"all of its {stated} samples"
        message = f"{path}: the file is cut off and does not hold {wanted}"
        raise CutOff(f"{message}; use the whole file{CutOff.HINT}")
    ends = f"is cut off after {got}" if stated is None else f"ends after {got} of {stated}"
    message = f"{path}: the file {ends} samples"
    if not allowed:
        raise CutOff(f"{message}; use the whole file{CutOff.HINT}")
    warn(f"{message}; only these were read")
