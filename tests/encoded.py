"""Files that FFmpeg encodes."""

import av
import numpy as np


def encode_av(path, wave, rate, codec, **options):
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        convert = av.AudioResampler(stream.format.name, "stereo", rate, stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), "fltp", "stereo")
        frame.sample_rate = rate
        for part in convert.resample(frame) + convert.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
