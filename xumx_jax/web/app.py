"""The application: routes, the form of errors, and the guard around everything."""

from fastapi import FastAPI

from xumx_jax.versions import own
from xumx_jax.web import answers
from xumx_jax.web.document import document
from xumx_jax.web.guard import Guard
from xumx_jax.web.routes import about, events, jobs, page, playing, stems
from xumx_jax.web.schema import ROOT
from xumx_jax.web.shared import Shared

DESCRIPTION = """Music source separation as a service. A job is sent as the file itself, followed by
its events, and fetched as stems.

`curl -sT song.mp3 'http://127.0.0.1:8000/api/v1/jobs?name=song.mp3'` answers with the job.

A server that has a token wants it as `Authorization: Bearer TOKEN`, except for what is read of a
job by its id. Every error is `{"error": {"code": ..., "message": ...}}`; a parameter that is not
known is an error too."""


def make_app() -> FastAPI:
    """The routes alone: what the OpenAPI document describes."""
    app = FastAPI(
        title="xumx_jax",
        version=own(),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
    )
    answers.install(app)
    app.include_router(jobs.router, prefix=ROOT)
    app.include_router(events.router, prefix=ROOT)
    app.include_router(playing.router, prefix=ROOT)
    app.include_router(stems.router, prefix=ROOT)
    app.include_router(about.interface, prefix=ROOT)
    app.include_router(about.router)
    app.include_router(page.router)
    made = document(app)
    app.openapi = lambda: made
    return app


def guarded(shared: Shared) -> Guard:
    """The application of a running server, as uvicorn calls it."""
    app = make_app()
    app.state.shared = shared
    return Guard(app, shared)
