"""Audio files in and out, and resampling. Waveforms are float32 [channel, time], full scale is 1.

Integers of b bits are divided by 2^(b-1) when read and multiplied by it when written, so a file
that is read and written again at its own depth comes back bit for bit.
"""

import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from xumx_jax.errors import UserError

# libsndfile reads these exactly; everything else, compressed WAV included, goes to FFmpeg (PyAV).
_SOUNDFILE_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"FORM")
# Containers whose header states the length, so that a file cut short can be told from a whole one.
_STATES_LENGTH = {"mov", "matroska", "flac", "wav", "w64", "aiff", "caf"}
_BLOCK = 1 << 20
_RF64_BYTES = 4_000_000_000

# {format: {bits: libsndfile subtype}}
FORMATS = {
    "wav": {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"},
    "flac": {"16": "PCM_16", "24": "PCM_24"},
}


def check_file(path) -> bytes:
    """Raise UserError unless `path` is a file with something in it; returns its first 4 bytes."""
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; wanted an audio file") from None
    if not magic:
        raise UserError(f"{path}: the file is empty (0 bytes); wanted an audio file")
    return magic


def decode(path) -> tuple[np.ndarray, int]:
    """Read an audio file of any format -> (wave [channel, time], rate).

    Of several streams (stems in one .mp4) the first is taken. Raises UserError for a file that is
    missing, no audio, or ends before the length that its own header states.
    """
    path = Path(path)
    magic = check_file(path)
    if magic in _SOUNDFILE_MAGIC:
        decoded = _decode_soundfile(path)
        if decoded is not None:
            return decoded
    return _decode_av(path)


def _decode_soundfile(path) -> tuple[np.ndarray, int] | None:
    """Read with libsndfile -> (wave, rate), or None where it does not know the format."""
    import soundfile

    try:
        file = soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError:
        return None
    with file:
        frames = file.frames
        if frames >= 2**62:  # FLAC written to a pipe: the header states no length
            return None
        stated = _riff_frames(path)
        if frames < stated:
            raise _cut_short(path, frames, stated)
        wave = np.empty((file.channels, frames), np.float32)
        at = 0
        try:
            while at < frames:
                block = file.read(min(_BLOCK, frames - at), dtype="float32", always_2d=True)
                if not len(block):
                    break
                wave[:, at : at + len(block)] = block.T
                at += len(block)
        except soundfile.LibsndfileError:
            pass
        if at < frames:
            raise _cut_short(path, at, frames)
        return wave, file.samplerate


def _riff_frames(path) -> int:
    """Length in samples that the header of a PCM or float WAV states, 0 if it states none.

    libsndfile repairs a short WAV silently, so the header is read here too.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
            return 0
        bytes_64 = bytes_each = 0
        while len(chunk := file.read(8)) == 8:
            name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
            if name == b"data":
                if size == 0xFFFFFFFF and bytes_64:
                    size = bytes_64
                elif size >= 0x7FFFF000:  # written to a pipe: the length was not known
                    return 0
                return size // bytes_each if bytes_each else 0
            body = file.read(min(size + size % 2, 64))
            file.seek(size + size % 2 - len(body), os.SEEK_CUR)
            if name == b"ds64":
                bytes_64 = int.from_bytes(body[8:16], "little")
            if name == b"fmt " and int.from_bytes(body[:2], "little") in (1, 3, 0xFFFE):
                bytes_each = int.from_bytes(body[12:14], "little")
    return 0


def _decode_av(path) -> tuple[np.ndarray, int]:
    """Read the first audio stream with FFmpeg -> (wave, rate)."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UserError(f"{path}: holds no audio stream; wanted an audio file")
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.channels
            to_float = av.AudioResampler("fltp", stream.layout, rate)
            blocks, damaged = [np.zeros((channels, 0), np.float32)], 0
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.FFmpegError:
                    damaged += 1
                    continue
                for frame in decoded:
                    blocks += [block.to_ndarray() for block in to_float.resample(frame)]
            wave = np.concatenate(blocks, axis=1)
            stated = _stated_frames(path, container, stream)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise UserError(f"{path}: not an audio file that can be decoded ({reason})") from None
    # Encoders pad and headers round, so up to 0.1 s may be missing from a whole file.
    if wave.shape[1] < stated - 0.1 * rate:
        raise _cut_short(path, wave.shape[1], stated)
    if _ogg_is_cut(path):
        raise _cut_short(path, wave.shape[1], "more")
    if damaged and not wave.shape[1]:
        raise UserError(f"{path}: not an audio file that can be decoded (every packet is damaged)")
    if damaged > 1:  # a single one at the end is an ordinary tag
        warnings.warn(f"{path}: {damaged} damaged packets were left out", stacklevel=3)
    return wave, rate


def _stated_frames(path, container, stream) -> int:
    """Length in samples that the container's header states, 0 where it is only an estimate."""
    names = set(container.format.name.split(","))
    if not (names & _STATES_LENGTH or ("mp3" in names and _mp3_states_length(path))):
        return 0
    if stream.duration:
        return round(stream.duration * stream.time_base * stream.rate)
    return round((container.duration or 0) / 1e6 * stream.rate)


def _mp3_states_length(path) -> bool:
    """Whether an MP3 opens with a Xing/Info tag, which counts its frames."""
    with open(path, "rb") as file:
        head = file.read(10)
        skip = 0
        if head[:3] == b"ID3":
            # four times seven bits
            skip = 10 + sum(b << s for b, s in zip(head[6:10], (21, 14, 7, 0), strict=True))
        file.seek(skip)
        first = file.read(2048)
    return b"Xing" in first or b"Info" in first


def _ogg_is_cut(path) -> bool:
    """Whether an Ogg file ends inside a page (its header states no length in samples)."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2**16))  # a page is smaller than this
        tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) < 27 or len(page) < 27 + page[26] + sum(segments)


def _cut_short(path, got, stated) -> UserError:
    return UserError(
        f"{path}: the file ends after {got} of {stated} samples; wanted the whole file"
    )


def check_format(format, bits):
    """Raise UserError unless `format` and `bits` (a string) go together."""
    if format not in FORMATS:
        raise UserError(f"format {format!r} is not known; wanted one of {', '.join(FORMATS)}")
    if bits not in FORMATS[format]:
        known = ", ".join(FORMATS[format])
        raise UserError(f"{format} files cannot hold {bits!r} bits; wanted one of {known}")


def encode(path, wave, rate, format="wav", bits="16"):
    """Write [channel, time] to one file, whole or not at all; see `encode_all`."""
    encode_all({path: wave}, rate, format, bits)


def encode_all(waves, rate, format="wav", bits="16"):
    """Write {path: [channel, time]}: all files under temporary names first, then rename them.

    Nothing half-written ever stands under a final name. Integer formats clip beyond full scale
    and warn with the count. Raises UserError naming the file that cannot be written.
    """
    import soundfile

    check_format(format, bits)
    parts = {}
    try:
        for path, wave in waves.items():
            path = Path(path)
            parts[path] = part = path.with_name(f".{path.name}.{os.getpid()}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(part, path, np.asarray(wave, np.float32), rate, format, bits)
            except (OSError, soundfile.LibsndfileError) as error:
                reason = getattr(error, "strerror", None) or error
                raise UserError(f"{path}: cannot be written: {reason}") from None
        for path, part in parts.items():
            try:
                os.replace(part, path)
            except OSError as error:
                raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def _write(part, path, wave, rate, format, bits):
    import soundfile

    subtype = FORMATS[format][bits]
    container = format.upper()
    if container == "WAV" and wave.size * 4 > _RF64_BYTES:
        container = "RF64"  # plain WAV counts bytes in 32 bits
    clipped = 0
    with soundfile.SoundFile(
        str(part), "w", rate, wave.shape[0], subtype=subtype, format=container
    ) as file:
        for at in range(0, wave.shape[1], _BLOCK):
            block = wave[:, at : at + _BLOCK].T
            if subtype != "FLOAT":
                clipped += int(np.count_nonzero(np.abs(block) > 1))
                block = quantise(block, int(bits))
            file.write(block)
    if clipped:
        warnings.warn(
            f"{path}: {clipped} samples beyond full scale were clipped "
            "(32f in a wav file keeps them)",
            stacklevel=4,
        )


def quantise(wave, bits):
    """Round float samples to integers of `bits`, same shape; 24 bits sit in the top of int32.

    Done here because libsndfile scales by 2^(b-1) - 1 when writing but by 2^(b-1) when reading.
    """
    full = 2 ** (bits - 1)
    levels = np.clip(np.rint(wave.astype(np.float64) * full), -full, full - 1)
    if bits == 16:
        return levels.astype(np.int16)
    return levels.astype(np.int32) << (32 - bits)


def resample(wave, rate, target_rate, length=None):
    """Resample [channel, time] -> [channel, length], by default ceil(time * target / rate).

    Going to another rate and back with `length` restores the exact number of samples.
    """
    import soxr

    if length is None:
        length = -(-wave.shape[-1] * target_rate // rate)
    if rate == target_rate or not wave.size:
        return _fit(wave, length)
    # soxr rounds the length down at times: give it a few more samples than are kept.
    margin = 2 + 2 * rate // target_rate
    padded = np.pad(wave, ((0, 0), (0, margin)))
    return _fit(soxr.resample(padded.T, rate, target_rate, quality="VHQ").T, length)


def _fit(wave, length):
    """Cut or zero-pad the end of [channel, time] -> [channel, length]."""
    missing = max(0, length - wave.shape[-1])
    return np.ascontiguousarray(np.pad(wave[:, :length], ((0, 0), (0, missing))), np.float32)
