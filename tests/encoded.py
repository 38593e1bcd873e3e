"""Files that FFmpeg encodes."""

from fractions import Fraction

import av
import numpy as np


def encode_av(path, wave, rate, codec, late=0.0, **options):
    """Write sound alone, whose times begin `late` seconds after 0."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        convert = av.AudioResampler(stream.format.name, "stereo", rate, stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), "fltp", "stereo")
        frame.sample_rate = rate
        at = round(late * rate)
        for part in convert.resample(frame) + convert.resample(None):
            if late:
                part.pts, part.time_base = at, Fraction(1, rate)
                at += part.samples
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def encode_film(path, seconds, sounds, late=0.0, codec=None, **options):
    """Write pictures of so many seconds, and for each of `sounds` a tone of so many, `late`."""
    kinds = {".mov": "pcm_s16le", ".avi": "mp3", ".mkv": "aac", ".mp4": "aac", ".ts": "aac"}
    codec, rate = codec or kinds[path.suffix], 44100
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        streams = [container.add_stream(codec, rate=rate, layout="stereo") for _ in sounds]
        for at in range(25 * seconds):
            picture = np.full((32, 32, 3), at % 200, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        for stream, length in zip(streams, sounds, strict=True):
            tone = np.sin(np.arange(round(length * rate)) / 20).astype(np.float32) / 2
            convert = av.AudioResampler(
                stream.format.name, "stereo", rate, stream.frame_size or 1024
            )
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
            frame.sample_rate = rate
            at = round(late * rate)
            for part in convert.resample(frame) + convert.resample(None):
                part.pts, part.time_base = at, Fraction(1, rate)
                at += part.samples
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
