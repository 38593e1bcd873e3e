"""The page: the files of `xumx_jax/web/page`, and nothing else."""

import hashlib
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
    content = path.read_bytes()
    # of the content, since an installed file may be as old and as long as that of another version
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": sending.ASKED_AGAIN}
    if tag in sending.tags_known(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=TYPES[path.suffix])
