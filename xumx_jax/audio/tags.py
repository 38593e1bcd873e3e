"""Titles, names and the cover picture of a file, to be copied to its stems."""

import base64
import struct
from dataclasses import dataclass, field, replace

from xumx_jax.audio.ffmpeg import open_container

# FFmpeg's names of tags that are still true for a stem; loudness and encoder delay are not
_KEPT = (
    *("title", "artist", "album", "album_artist", "composer", "performer", "date", "genre"),
    *("track", "disc", "publisher", "copyright", "comment"),
)
# {FFmpeg's name: that of a WAV's INFO chunk}
_INFO = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "date": b"ICRD",
    "genre": b"IGNR",
    "track": b"IPRT",
    "copyright": b"ICOP",
    "comment": b"ICMT",
}
# {FFmpeg's name: libsndfile's}
SOUNDFILE = {
    **{name: name for name in ("title", "artist", "album", "date", "genre")},
    **{"track": "tracknumber", "copyright": "copyright", "comment": "comment"},
}
ATTACHED_PICTURE = 1024  # FFmpeg's flag of a stream that is a cover
_PICTURES = {"mjpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True)
class Tags:
    """`text` under FFmpeg's names, and the cover as a JPEG or PNG file."""

    text: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None
    mime: str = ""

    def of_stem(self, stem: str) -> "Tags":
        """The same for one stem, whose name is appended to the title."""
        if "title" not in self.text:
            return self
        return replace(self, text={**self.text, "title": f"{self.text['title']} ({stem})"})


NO_TAGS = Tags()


def read_tags(path) -> Tags:
    """Read the tags of a file; `Tags()` if it has none, or none in a known form."""
    try:
        with open(path, "rb") as file:
            return tags_of(file)
    except OSError:
        return NO_TAGS


def tags_of(file) -> Tags:
    """Like `read_tags`, for a seekable binary file, whose position changes."""
    import av

    try:
        with open_container(file) as container:
            text = dict(container.metadata)
            for stream in container.streams.audio[:1]:  # where Ogg keeps them
                text = {**stream.metadata, **text}
            text = {name.lower(): value for name, value in text.items()}
            text = {name: text[name] for name in _KEPT if text.get(name)}
            for stream in container.streams.video:
                mime = _PICTURES.get(stream.codec_context.name)
                if mime and stream.disposition.value & ATTACHED_PICTURE:
                    cover = bytes(next(container.demux(stream)))
                    return Tags(text, cover or None, mime)
            return Tags(text)
    except (av.FFmpegError, ValueError, StopIteration):
        return NO_TAGS


def info_chunk(tags: Tags) -> bytes:
    """The LIST chunk of a WAV file, empty if there is nothing to say."""
    body = b""
    for name, code in _INFO.items():
        if value := tags.text.get(name):
            data = value.encode() + b"\0"
            body += struct.pack("<4sI", code, len(data)) + data + b"\0" * (len(data) % 2)
    return struct.pack("<4sI4s", b"LIST", 4 + len(body), b"INFO") + body if body else b""


def picture_block(tags: Tags) -> str:
    """The cover as Ogg carries it among the text: FLAC's picture block in base 64."""
    mime = tags.mime.encode()
    front = struct.pack(">II", 3, len(mime)) + mime
    unknown = bytes(20)  # description, width, height, depth, colours
    return base64.b64encode(
        front + unknown + struct.pack(">I", len(tags.cover)) + tags.cover
    ).decode()
