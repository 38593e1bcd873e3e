"""Songs made from a number: four stems that play the same tune, for training without a data set.

    song = render(12)                       # song.stems [source, channel, time], 44.1 kHz
    python -m pipelines.songs OUT --songs 240
    python -m pipelines.songs OUT --songs 240 --material FOLDER    # and of recordings

The sampled engine needs `tinysoundfont`, `pedalboard`, `pyworld` and the Debian packages
`musescore-general-soundfont`, `fluidr3mono-gm-soundfont` and `flite`; the plain engine needs numpy.
"""

from .mixing import Song, render
from .score import SOURCES

__all__ = ["SOURCES", "Song", "render"]
