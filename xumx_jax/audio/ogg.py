"""Ogg files: where their pages are, and files one after another in one, as radio stations send."""

import os
from contextlib import ExitStack
from dataclasses import dataclass

from xumx_jax.audio.uniform import part, uniform
from xumx_jax.audio.window import Window


@dataclass(frozen=True)
class Pages:
    """What is known of an Ogg file: where its links begin, its streams, whether it ends.

    `links` are files one after another, as radio stations send them; `vorbis` is whether the first
    of all `streams` is Vorbis.
    """

    links: tuple[int, ...] = ()
    streams: int = 0
    vorbis: bool = False
    cut: bool = False


def read_pages(file) -> Pages:
    """Walk over the pages of an Ogg file, which states no length; `Pages()` if it is none."""
    size, at = file.seek(0, os.SEEK_END), 0
    links, streams, vorbis, first = [], 0, False, False
    file.seek(0)
    if file.read(4) != b"OggS":
        return Pages()
    while at < size:
        file.seek(at)
        head = file.read(27)
        lengths = file.read(head[26]) if len(head) == 27 else b""
        if len(head) < 27 or len(lengths) < head[26]:
            return Pages(tuple(links), streams, vorbis, cut=True)
        if head[:4] != b"OggS":  # something appended, or damage that decoders step over
            break
        before, first = first, head[5] & 2  # the first page of a stream
        if first:
            if not before:
                links.append(at)
            vorbis = vorbis or (not streams and file.read(7) == b"\x01vorbis")
            streams += 1
        at += 27 + len(lengths) + sum(lengths)
    return Pages(tuple(links) or (0,), streams, vorbis, cut=at > size)


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
