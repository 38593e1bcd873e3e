"""The page: the files of `xumx_jax/web/page`, and nothing else."""

from pathlib import Path

from fastapi import APIRouter, Depends
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


@get(router, "/", include_in_schema=False)
def get_page() -> Response:
    return _answer("index.html")


@get(router, "/page/{name:path}", include_in_schema=False)
def get_page_file(name: str) -> Response:
    return _answer(name)


def _answer(name: str) -> Response:
    known = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*")}
    path = known.get(name)
    if path is None or path.suffix not in TYPES:
        raise Problem("unknown", "the page has no such file")
    return sending.file(path, None, TYPES[path.suffix], sending.ASKED_AGAIN)
