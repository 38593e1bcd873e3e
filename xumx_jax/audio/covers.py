"""Covers: the pictures that files of music carry, told by their own first bytes.

What a tag calls a picture is often wrong, and a picture may be damaged. Neither may cost the track.
"""

import base64
import struct
from contextlib import contextmanager
from io import BytesIO
from itertools import islice

ATTACHED = 1024  # FFmpeg's flag of a stream that is a cover
# MIME type, first bytes and FFmpeg's reader of the pictures that stems get
_KINDS = (
    ("image/jpeg", b"\xff\xd8\xff", "jpeg_pipe"),
    ("image/png", b"\x89PNG\r\n\x1a\n", "png_pipe"),
)
_MOST_BYTES = (1 << 24) - 1024  # that FLAC's blocks hold, and more than any cover needs


def _kind(picture):
    return next((kind for kind in _KINDS if picture.startswith(kind[1])), ("", b"", ""))


def mime(picture: bytes) -> str:
    """The MIME type of a JPEG or PNG, empty for anything else."""
    return _kind(picture)[0]


def first(container) -> bytes | None:
    """The first picture in an open container that is a JPEG or PNG, else the first of any kind."""
    from av.error import FFmpegError

    attached = [stream for stream in container.streams.video if stream.disposition.value & ATTACHED]
    if not attached:
        return None
    try:  # they come before any sound
        pictures = [bytes(packet) for packet in islice(container.demux(attached), len(attached))]
    except FFmpegError:
        return None
    pictures = [picture for picture in pictures if picture]
    return next(iter(sorted(pictures, key=lambda picture: not mime(picture))), None)


def problem(picture: bytes) -> str:
    """Why stems cannot get this picture, or nothing."""
    from av.error import FFmpegError

    if not mime(picture):
        return "is neither a JPEG nor a PNG"
    if len(picture) > _MOST_BYTES:
        return f"takes {len(picture) / 1e6:.0f} MB, more than a file of music can hold"
    try:
        with opened(picture) as stream:
            return "" if stream.width and stream.height else "is damaged"
    except (FFmpegError, ValueError, IndexError):
        return "is damaged"


@contextmanager
def opened(picture: bytes):
    """FFmpeg's stream of a JPEG or PNG; its width is 0 if the header cannot be read."""
    import av

    with av.open(BytesIO(picture), format=_kind(picture)[2]) as container:
        yield container.streams.video[0]


def block(picture: bytes) -> str:
    """A picture as Ogg carries it among the text: FLAC's picture block in base 64."""
    kind = mime(picture).encode()
    front = struct.pack(">II", 3, len(kind)) + kind
    unknown = bytes(20)  # description, width, height, depth, colours
    return base64.b64encode(front + unknown + struct.pack(">I", len(picture)) + picture).decode()
