"""MUSDB18's compressed form: one .stem.mp4 per track, five stereo streams in it."""

import os
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
import numpy as np

from xumx_jax import audio
from xumx_jax.errors import UserError

STREAMS = ("mixture", "drums", "bass", "other", "vocals")
SUFFIX = ".stem.mp4"
# Encoders pad and headers round, so this much may be missing from a complete file.
ALLOWANCE_SECONDS = 0.1


def read_stems(path) -> tuple[dict[str, np.ndarray], int]:
    """Decode all streams of a .stem.mp4: {name: float32 [channel, time]}, rate.

    The mixture is a separate stream, so after lossy coding it is not exactly the sum of the others.
    Raises UserError if the file cannot be decoded, is cut short or has the wrong number of streams.
    """
    with _opened(path) as (container, rate, samples):
        waves = np.zeros((len(STREAMS), 2, samples), np.float32)
        for stream, start, block in _blocks(path, container, rate, samples):
            waves[stream, :, start : start + block.shape[1]] = block
    return dict(zip(STREAMS, waves, strict=True)), rate


def write_stems(path, folder: Path) -> None:
    """Decode a .stem.mp4 into 16-bit WAV files FOLDER/{mixture,drums,bass,other,vocals}.wav.

    A few seconds are in memory at a time. The files get the modification time of the original.
    Raises UserError as `read_stems` does, and OSError if a file cannot be written.
    """
    changed = os.stat(path).st_mtime_ns
    with _opened(path) as (container, rate, samples), ExitStack() as stack:
        # Not soundfile: it reports a full disk as an assertion.
        raw = [stack.enter_context(open(folder / f"{name}.wav", "wb")) for name in STREAMS]
        files = [stack.enter_context(wave.open(file, "wb")) for file in raw]
        for file in files:
            file.setparams((2, 2, rate, samples, "NONE", ""))
        for stream, _, block in _blocks(path, container, rate, samples):
            files[stream].writeframesraw(audio.quantise(block.T, 16).tobytes())
        for file in files:
            missing = samples - file.tell()
            file.writeframes(bytes(4 * missing))
    for name in STREAMS:
        os.utime(folder / f"{name}.wav", ns=(changed, changed))


@contextmanager
def stem_blocks(path):
    """Yield (rate, samples, blocks), with `blocks` decoded on demand: (stream, start, wave).

    Streams are numbered as in STREAMS, waves are float32 [channel, time] and end at `samples`; a
    stream may end up to ALLOWANCE_SECONDS earlier. Raises UserError as `read_stems` does.
    """
    with _opened(path) as (container, rate, samples):
        yield rate, samples, _blocks(path, container, rate, samples)


def decoded_bytes(path) -> int:
    """Size of what `write_stems` writes. Raises UserError if the file is not a .stem.mp4."""
    with _opened(path) as (_, _, samples):
        return len(STREAMS) * (4 * samples + 44)


@contextmanager
def _opened(path):
    """Yield (container, rate, samples of the shortest stream)."""
    path = Path(path)
    if not os.path.lexists(path):
        raise UserError(f"{path}: no such file; wanted a {SUFFIX}")
    try:
        with audio.open_binary(path) as file, audio.open_container(file) as container:
            streams = container.streams.audio
            if len(streams) != len(STREAMS):
                raise UserError(
                    f"{path}: {len(streams)} audio streams, wanted {len(STREAMS)}: "
                    + ", ".join(STREAMS)
                )
            rate = streams[0].rate
            # the last block of AAC is padded; the container knows the true length
            samples = min(round((s.duration or 0) * s.time_base * rate) for s in streams)
            if not samples:
                raise UserError(f"{path}: a stream without samples; wanted a {SUFFIX}")
            yield container, rate, samples
    except (av.FFmpegError, OSError) as error:
        message = " ".join(str(error.strerror or error).split())
        raise UserError(f"{path}: cannot be decoded ({message}); wanted a {SUFFIX}") from error


def _blocks(path, container, rate: int, samples: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Decode block by block: (stream, start, float32 [channel, time]), not beyond `samples`."""
    order = {stream.index: place for place, stream in enumerate(container.streams.audio)}
    to_float = {index: av.AudioResampler("fltp", "stereo", rate) for index in order}
    done = dict.fromkeys(order, 0)
    for packet in container.demux(*container.streams.audio):
        index = packet.stream.index
        for frame in packet.decode():
            for even in to_float[index].resample(frame):
                block = even.to_ndarray()[:, : samples - done[index]]
                if block.size:
                    yield order[index], done[index], block
                    done[index] += block.shape[1]
    for index, count in done.items():
        if count < samples - ALLOWANCE_SECONDS * rate:
            name = STREAMS[order[index]]
            raise UserError(f"{path}: {name} ends after {count} of {samples} samples")
