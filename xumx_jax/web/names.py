"""Names that clients give, and what of them may become the name of a download.

A client's name is data: it is kept in the database, shown, and sent in `Content-Disposition`. No
file of ours is ever called by it.
"""

import re
import unicodedata
from urllib.parse import quote

from xumx_jax.files import shortened

FALLBACK = "track"
LONGEST = 255  # characters of a name that a client gives
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_IMPOSSIBLE = re.compile(r'[<>:"/\\|?*]')  # in names on Windows; the slashes everywhere


def cleaned(name: str) -> str:
    """A client's name as one line: no control characters, no marks that turn the text around."""
    visible = (" " if c.isspace() else c for c in name if not _steers(c))
    return " ".join("".join(visible).split())[:LONGEST] or FALLBACK


def _steers(character: str) -> bool:
    kind = unicodedata.category(character)
    # Cs: halves of characters, which no encoding takes; joiners belong to words of many scripts
    return (
        kind in ("Cc", "Cf", "Cs") and not character.isspace() and character not in "\u200c\u200d"
    )


def title(name: str) -> str:
    """The song's name: a client's name without folders and suffix, fit for a file anywhere.

    "../Song A.mp3" -> "Song A".
    """
    last = re.split(r"[/\\]", cleaned(name))[-1]
    plain = _IMPOSSIBLE.sub("_", _SUFFIX.sub("", last)).strip(" .")
    return shortened(plain, 180).strip(" .") or FALLBACK


def file_name(name: str, stem: str, format: str) -> str:
    """What a stem of a client's file is called: ("Song A.mp3", "vocals", "wav") -> "Song A
    (vocals).wav"."""
    return f"{title(name)} ({shortened(stem, 40)}).{format}"


def disposition(file: str) -> str:
    """The header Content-Disposition for a download (RFC 6266, RFC 5987), in ASCII."""
    plain = unicodedata.normalize("NFKD", file).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\]', "_", "".join(c for c in plain if c.isprintable()))
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file, safe='')}"
