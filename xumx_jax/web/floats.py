"""What is kept of a job beside its WAV files: the stems as floats, their peaks, the track's tags.

    <stem>.f32    float32 [frame, channel], little-endian, before the gain
    <stem>.peaks  `peaks.Peaks` of it
    tags.json     what stems in other formats get as tags

Other formats and mixes are encoded from these, so that they are what the command line writes.
"""

import base64
import json
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from xumx_jax.audio.containers import Tags
from xumx_jax.web.errors import NoRoom
from xumx_jax.web.peaks import Peaks

TAGS = "tags.json"


class Floats:
    """Write the floats and the peaks of stems, in a `with`; call it with each block of them.

    `ready(frames)` is told how many frames of every stem can be read from the files, first of all
    none. Raises NoRoom if they cannot be written.
    """

    def __init__(self, folder: Path, stems, ready: Callable[[int], object] = lambda frames: None):
        self._folder, self._stems, self._stack = folder, tuple(stems), ExitStack()
        self._ready, self._frames = ready, 0

    def __enter__(self):
        with _room():
            self._files = {
                stem: (self._open(f"{stem}.f32"), self._open(f"{stem}.peaks"), Peaks())
                for stem in self._stems
            }
        self._ready(0)
        return self

    def __call__(self, blocks):
        """Append {stem: [channel, time]}, of all stems equally much."""
        count = 0
        with _room():
            for stem, block in blocks.items():
                floats, peaks, made = self._files[stem]
                floats.write(np.ascontiguousarray(block.T, "<f4").data)
                peaks.write(made.push(block))
                floats.flush()
                peaks.flush()
                count = block.shape[1]
        self._frames += count
        self._ready(self._frames)

    def __exit__(self, kind, error, trace):
        with _room(), self._stack:
            if kind is None:
                for _, peaks, made in self._files.values():
                    peaks.write(made.finish())

    def _open(self, name):
        return self._stack.enter_context((self._folder / name).open("wb"))


def write_tags(folder: Path, tags: Tags) -> None:
    """Keep the tags of a track in its job's folder. Raises NoRoom."""
    cover = None if tags.cover is None else base64.b64encode(tags.cover).decode()
    with _room():
        text = json.dumps({"text": tags.text, "cover": cover, "mime": tags.mime})
        (folder / TAGS).write_text(text, encoding="utf-8")


def read_tags(folder: Path) -> Tags:
    """The tags that `write_tags` kept."""
    known = json.loads((folder / TAGS).read_text(encoding="utf-8"))
    cover = None if known["cover"] is None else base64.b64decode(known["cover"])
    return Tags(known["text"], cover, known["mime"])


@contextmanager
def _room():
    try:
        yield
    except OSError as error:
        raise NoRoom(f"the stems cannot be kept: {error.strerror}") from error
