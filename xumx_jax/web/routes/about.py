"""About the server: what it can do, whether it is well, and how it is talked to."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from xumx_jax.audio.formats import BITRATES, BITS, FORMATS
from xumx_jax.web import metrics, pages
from xumx_jax.web.answers import Problem
from xumx_jax.web.routes import check_query, errors, get
from xumx_jax.web.routes.jobs import Here, local
from xumx_jax.web.schema import Health, Limits, ModelOut, Models, Ready, Task

router = APIRouter(dependencies=[Depends(check_query)])
interface = APIRouter(tags=["server"], dependencies=[Depends(check_query)])


@get(interface, "/models", responses=errors("no_token"))
def list_models(here: Here) -> Models:
    """List the models by what they separate."""
    from xumx_jax import assets
    from xumx_jax.weights import published, zoo

    tasks: dict[tuple[str, ...] | None, list[ModelOut]] = {}
    for name, source in here.offered.items():
        key = source or zoo.DEFAULT
        if key == assets.DEMO:
            what, licence, stems = "the small bundled model", assets.DEMO_LICENCE, zoo.DEFAULT
            made = ModelOut(
                name=name, what=what, licence=licence, score=None, mean_sdr_db=None, here=True
            )
            sources = tuple(sorted(published.PUBLISHED[stems].sources))
        elif row := published.PUBLISHED.get(key):
            made = ModelOut(
                name=name,
                what=row.what,
                licence=row.licence,
                score=row.score,
                mean_sdr_db=row.mean,
                here=zoo.cached(key).exists(),
            )
            sources = tuple(sorted(row.sources))
        else:
            made = ModelOut(
                name=name,
                what="a model of this server's",
                licence=None,
                score=None,
                mean_sdr_db=None,
                here=True,
            )
            sources = None
        tasks.setdefault(sources, []).append(made)
    return Models(
        default=next(iter(here.offered)),
        tasks=[
            Task(stems=list(key) if key else None, models=found) for key, found in tasks.items()
        ],
    )


@get(interface, "/limits", responses=errors("no_token"))
def get_limits(here: Here) -> Limits:
    """Say what may be sent, and in which formats stems can be had."""
    names = set(Limits.model_fields) - {"formats", "bitrates"}
    return Limits(
        **{name: getattr(here.settings, name) for name in names},
        formats={format: list(BITS.get(format, ())) for format in FORMATS},
        bitrates={format: list(values) for format, values in BITRATES.items()},
    )


@get(router, "/healthz", tags=["server"])
async def get_health() -> Health:
    """Say whether the server answers."""
    return Health()


@get(router, "/readyz", tags=["server"], responses=errors("not_ready", "draining"))
def get_readiness(here: Here) -> Ready:
    """Say whether a job that is sent now would be separated, and on which device."""
    state = here.workers.ready()
    if state["error"]:
        raise Problem("not_ready", f"the model cannot be used: {state['error']}")
    if not state["ready"]:
        raise Problem("not_ready", "the model is being loaded")
    return Ready(devices=state["devices"], models=state["models"])


@get(
    router,
    "/metrics",
    tags=["server"],
    dependencies=[Depends(local)],
    response_class=PlainTextResponse,
    responses=errors("no_token", "not_local"),
)
def get_metrics(here: Here) -> Response:
    """Count jobs, requests and bytes, for Prometheus; for the server's machine, or with a token."""
    return Response(metrics.text(here), media_type="text/plain; version=0.0.4; charset=utf-8")


@get(router, "/openapi.json", include_in_schema=False)
def get_openapi(request: Request) -> dict:
    return request.app.openapi()


@get(router, "/docs", include_in_schema=False)
def get_docs(request: Request) -> HTMLResponse:
    return HTMLResponse(pages.documentation(request.app.openapi()))


@get(router, "/docs.css", include_in_schema=False)
def get_style() -> Response:
    return Response(pages.STYLE, media_type="text/css")


@get(router, "/", include_in_schema=False)
def get_front() -> RedirectResponse:
    return RedirectResponse("/docs")
