"""Names that clients give: what is kept of them, and how a download's name is sent.

A client's name is data: it is in the database, shown, and sent in `Content-Disposition`. No file of
ours is ever called by it.
"""

import unicodedata
from urllib.parse import quote

FALLBACK = "track"
LONGEST = 255  # characters


def cleaned(name: str) -> str:
    """A client's name as one line: no control characters, no marks that turn the text around."""
    visible = (" " if c.isspace() else c for c in name if not _steers(c))
    return " ".join("".join(visible).split())[:LONGEST] or FALLBACK


def _steers(character: str) -> bool:
    # Cs: halves of characters, which no encoding takes; joiners belong to words of many scripts
    kind = unicodedata.category(character)
    return (
        kind in ("Cc", "Cf", "Cs") and not character.isspace() and character not in "\u200c\u200d"
    )


def disposition(file: str) -> str:
    """The header Content-Disposition of a download (RFC 6266 and RFC 5987), in ASCII."""
    plain = unicodedata.normalize("NFKD", file).encode("ascii", "ignore").decode()
    plain = "".join(c for c in plain if c.isprintable() and c not in '"\\').strip()
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file, safe='')}"
