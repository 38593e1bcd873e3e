"""MUSDB18's compressed form: one .stem.mp4 per track, five stereo streams in it."""

from pathlib import Path

import av
import numpy as np

from xumx_jax.errors import UserError

STREAMS = ("mixture", "drums", "bass", "other", "vocals")


def read_stems(path) -> tuple[dict[str, np.ndarray], int]:
    """Decode all streams of a .stem.mp4: {name: float32 [channel, time]}, rate.

    The mixture is its own stream, so, after lossy coding, not exactly the sum of the others. Raises
    UserError if the file cannot be decoded or has another number of streams.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; wanted a .stem.mp4")
    try:
        with av.open(str(path)) as container:
            streams = container.streams.audio
            if len(streams) != len(STREAMS):
                raise UserError(
                    f"{path}: {len(streams)} audio streams, wanted {len(STREAMS)}: "
                    + ", ".join(STREAMS)
                )
            rate = streams[0].rate
            blocks = {stream.index: [] for stream in streams}
            to_float = {index: av.AudioResampler("fltp", "stereo", rate) for index in blocks}
            for packet in container.demux(*streams):
                for frame in packet.decode():
                    index = packet.stream.index
                    blocks[index] += [f.to_ndarray() for f in to_float[index].resample(frame)]
            # the last block of AAC is padded; the container knows the true length
            lengths = [round((s.duration or 0) * s.time_base * rate) for s in streams]
    except av.FFmpegError as error:
        message = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be decoded ({message}); wanted a .stem.mp4") from error
    waves = [np.concatenate(parts, axis=1) for parts in blocks.values() if parts]
    if len(waves) < len(STREAMS):
        raise UserError(f"{path}: a stream without samples; wanted a .stem.mp4")
    length = min(n or wave.shape[1] for n, wave in zip(lengths, waves, strict=True))
    return {n: wave[:, :length] for n, wave in zip(STREAMS, waves, strict=True)}, rate
