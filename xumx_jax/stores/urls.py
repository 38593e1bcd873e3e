"""What a URL tells without being opened: its kind, its name, and what may be shown of it."""

import posixpath
import re
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)


def is_url(text) -> bool:
    """Whether a text names a file in a store rather than on a disk (`file://` is a disk)."""
    return isinstance(text, str) and bool(_URL.match(text)) and not text.startswith("file://")


def shown(url: str) -> str:
    """A URL for messages and reports: without a user's name, and without a signature behind `?`."""
    kind, host, path = _parts(url)
    return f"{kind}://{host.rpartition('@')[2]}{path}"


def name_of(url: str) -> str:
    """The name of the file that a URL leads to."""
    name = posixpath.basename(_parts(url)[2].rstrip("/"))
    return unquote(name) if is_web(url) else name


def _parts(url: str) -> tuple[str, str, str]:
    """A URL's kind, host or bucket, and path; only in web addresses are ? and # no part of it."""
    if is_web(url):
        found = urlsplit(url)
        return found.scheme, found.netloc, found.path
    kind, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return kind, host, slash + path


def is_web(url: str) -> bool:
    """Whether a URL is an address of the web."""
    return url.lower().startswith(("http://", "https://"))


def join(place: str, *names: str) -> str:
    """The URL of a file below the folder `place`."""
    return "/".join([place.rstrip("/"), *names])
