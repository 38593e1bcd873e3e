"""Chained Ogg files: files one after another in one, as radio stations send them."""

import os
from contextlib import ExitStack

from xumx_jax.audio.uniform import part, uniform
from xumx_jax.audio.window import Window


def open_file(path, file, stack, allow_truncated, begins, open_one):
    """Open the links that start at the bytes `begins`, each with `open_one`, as one stream.

    Each is read on its own, since FFmpeg refuses links that differ in rate or channels and
    libsndfile reads the first one only. Returns what `ffmpeg.open_file` returns.
    """
    ends = [*begins[1:], file.seek(0, os.SEEK_END)]
    links = [Window(file, begin, end - begin) for begin, end in zip(begins, ends, strict=True)]
    rate, channels, whole, _, seconds = open_one(path, links[0], stack, allow_truncated)
    seconds = seconds or (whole or 0) / rate

    def pieces():
        for link in links:
            with ExitStack() as inner:
                own_rate, _, _, read, _ = open_one(path, link, inner, allow_truncated)
                for block in read(0, None):
                    yield own_rate, block

    def read(first, stop):
        return part(uniform(path, pieces(), rate, channels), first, stop)

    return rate, channels, None, read, seconds * ends[-1] / ends[0]
