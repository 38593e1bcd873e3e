"""Small .stem.mp4 files, written by the encoder that comes with PyAV."""

import av
import numpy as np

RATE, LENGTH = 44100, 22050
PITCHES = (440, 600, 80, 1000, 300)  # of the mixture, drums, bass, other, vocals


def write(path, pitches=PITCHES):
    """Write one AAC stream per pitch, a sine on the left and half of it on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(LENGTH) / RATE
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=RATE, layout="stereo") for _ in pitches]
        for stream, pitch in zip(streams, pitches, strict=True):
            left = 0.5 * np.sin(2 * np.pi * pitch * time)
            wave = np.stack([left, left / 2]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.rate = RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def pitch(wave):
    """The strongest frequency in Hz of each row of [channel, time]."""
    spectrum = np.abs(np.fft.rfft(wave, n=RATE))
    return np.argmax(spectrum, axis=1)
