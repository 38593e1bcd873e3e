"""About the server: what it can do, whether it is well, and how it is talked to."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from xumx_jax import runtime
from xumx_jax.audio.formats import BITRATES, BITS, FORMATS
from xumx_jax.versions import own
from xumx_jax.web import catalogue, metrics, pages
from xumx_jax.web.answers import Problem
from xumx_jax.web.routes import check_query, errors, get
from xumx_jax.web.routes.jobs import Here, local
from xumx_jax.web.schema import Health, Limits, Models, Ready

router = APIRouter(dependencies=[Depends(check_query)])
interface = APIRouter(tags=["server"], dependencies=[Depends(check_query)])


@get(interface, "/models", responses=errors("no_token"))
def list_models(here: Here) -> Models:
    """List the models by what they separate."""
    known = here.workers.ready()["devices"]  # else asking JAX would start it
    backend = runtime.devices(here.settings.device)[0].platform if known else "cpu"
    return catalogue.listed(here.offered, backend)


@get(interface, "/limits", responses=errors("no_token"))
def get_limits(here: Here) -> Limits:
    """Say what may be sent, and in which formats stems can be had."""
    names = set(Limits.model_fields) - {"formats", "bitrates", "version"}
    return Limits(
        **{name: getattr(here.settings, name) for name in names},
        formats={format: list(BITS.get(format, ())) for format in FORMATS},
        bitrates={format: list(values) for format, values in BITRATES.items()},
        version=own(),
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
