"""The page: the files of `xumx_jax/web/page`, and nothing else."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from xumx_jax.web import sending
from xumx_jax.web.answers import Problem
from xumx_jax.web.routes import check_query, get

router = APIRouter(dependencies=[Depends(check_query)])
FOLDER = Path(__file__).parents[1] / "page"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
}
PLAYED = (".wav",)
FILES = {
    path.relative_to(FOLDER).as_posix(): path
    for path in FOLDER.rglob("*")
    if path.is_file() and path.suffix in TYPES
}


@get(router, "/", include_in_schema=False)
def get_page(request: Request) -> Response:
    return _answer(request, "index.html")


@get(router, "/page/{name:path}", include_in_schema=False)
def get_page_file(request: Request, name: str) -> Response:
    return _answer(request, name)


def _answer(request, name) -> Response:
    path = FILES.get(name)
    if path is None:
        raise Problem("unknown", "the page has no such file")
    kind = TYPES[path.suffix]
    if path.suffix in PLAYED:  # some browsers ask for parts of it
        return sending.file(path, None, kind, sending.ASKED_AGAIN)
    content = path.read_bytes()
    # of the content, since an installed file may be as old and as long as that of another version
    tag = hashlib.sha256(content).hexdigest()[:32]
    headers = {"Cache-Control": sending.ASKED_AGAIN, "Vary": "Accept-Encoding"}
    if takes_gzip(request.headers.get("accept-encoding", "")):
        content, tag = _packed(content), f"{tag}-gzip"
        headers["Content-Encoding"] = "gzip"
    headers["ETag"] = f'"{tag}"'
    if headers["ETag"] in sending.tags_known(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)


def takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding has gzip."""
    for one in header.lower().split(","):
        name, _, quality = one.replace(" ", "").partition(";")
        if name == "gzip":
            return quality not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@lru_cache(256)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
