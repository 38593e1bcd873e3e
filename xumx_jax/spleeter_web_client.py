"""The client as a separator of Spleeter Web (github.com/JeffreyCA/spleeter-web).

Copy this file and client.py beside that application's other separators; nothing else is needed, and
nothing of either has to be changed. docs/spleeter-web.md has the rest.
"""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from .client import Client, ServerError

_LOSSLESS = {0: "wav", 1: "flac"}  # formats that have no bitrate


class ServerSeparator:
    """Let a server separate for Spleeter Web, which calls this constructor and both methods.

    cpu_separation  is the server's affair
    output_format   0 wav, 1 flac, else the bitrate of an mp3 in kbit/s
    softmask, alpha, iterations  softmask, alpha and niter of a job
    url, token      of the server; by default the environment's XUMX_SERVER and XUMX_TOKEN
    model           one of the server's

    Raises ServerError with one line, which the application shows. A task that is aborted cancels
    its job.
    """

    def __init__(
        self,
        cpu_separation: bool,
        output_format: int = 256,
        softmask: bool = False,
        alpha: float = 1.0,
        iterations: int = 1,
        *,
        url: str | None = None,
        token: str | None = None,
        model: str = "x-umx",
    ):
        url = url or os.environ.get("XUMX_SERVER", "http://127.0.0.1:8000")
        self.client = Client(url, token or os.environ.get("XUMX_TOKEN"))
        lossless = _LOSSLESS.get(output_format)
        self.options = {
            "model": model,
            "niter": iterations,
            "softmask": softmask,
            # the application stores an alpha with every mix, even without a softmask
            "alpha": alpha if softmask else 1.0,
            "format": lossless or "mp3",
            "bitrate": None if lossless else output_format,
        }

    def create_static_mix(self, parts, input_path, output_path) -> None:
        """Write the sum of the wanted parts, {name: whether it is} or names, to one file.

        `input_path` is a file or, where the application keeps its files elsewhere, a URL.
        """
        wanted = [name for name in parts if not hasattr(parts, "keys") or parts[name]]
        if not wanted:
            raise ServerError("bad_option", "no part was chosen; choose at least one")
        place = Path(output_path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".xumx-", dir=place.parent) as folder:
            (made,) = self._separate(input_path, folder, mix=wanted).values()
            made.replace(place)

    def separate_into_parts(self, input_path, output_path) -> None:
        """Write every part of a track as `<part>.<wav|flac|mp3>` into a folder."""
        self._separate(input_path, output_path)

    def _separate(self, place, out, mix=None) -> dict[str, Path]:
        url = urlsplit(str(place))
        with tempfile.TemporaryDirectory(prefix="xumx-") as folder:
            if url.scheme in ("http", "https"):
                name = Path(url.path).name[-60:].strip(".")
                place = _downloaded(url, Path(folder, name or "track"))
            return self.client.separate(place, out, mix=mix, **self.options)


def _downloaded(url, path) -> Path:
    try:
        with urlopen(url.geturl(), timeout=60) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        return path
    except (OSError, http.client.HTTPException) as error:
        getattr(error, "close", bool)()  # an HTTPError is an open answer
        shown = url._replace(query="", fragment="").geturl()  # the query of a signed URL is secret
        raise ServerError("broken", f"{shown}: cannot be downloaded: {error}") from None
