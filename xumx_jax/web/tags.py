"""The tags of a job's track, kept in its folder so that files made later carry them too."""

import json
from pathlib import Path

from xumx_jax.audio.containers import NO_TAGS, Tags
from xumx_jax.audio.covers import mime

TEXT, COVER = "tags.json", "cover"


def keep_tags(folder: Path, tags: Tags) -> None:
    """Write the tags into a job's folder; nothing where there are none. Raises OSError."""
    if tags.text:
        (folder / TEXT).write_text(json.dumps(dict(tags.text)))
    if tags.cover:
        (folder / COVER).write_bytes(tags.cover)


def kept_tags(folder: Path) -> Tags:
    """Read what `keep_tags` has written."""
    try:
        text = json.loads((folder / TEXT).read_text())
    except FileNotFoundError:
        text = {}
    try:
        cover = (folder / COVER).read_bytes()
    except FileNotFoundError:
        return Tags(text) if text else NO_TAGS
    return Tags(text, cover, mime(cover))
