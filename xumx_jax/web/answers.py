"""What a client is told that cannot be served: a status, a code and one line, always as JSON."""

import logging

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from xumx_jax.errors import UserError

LOG = logging.getLogger(__name__)
# {code: status}; codes are part of the interface, lines are not
STATUS = {
    "bad_option": 400,
    "bad_input": 422,
    "no_token": 401,
    "foreign_host": 403,
    "foreign_origin": 403,
    "not_local": 403,
    "unknown": 404,
    "gone": 404,
    "not_allowed": 405,
    "too_slow": 408,
    "not_done": 409,
    "failed": 409,
    "cancelled": 409,
    "not_queued": 409,
    "example": 409,
    "expired": 410,
    "length_wanted": 411,
    "too_large": 413,
    "not_audio": 415,
    "bad_type": 415,
    "bad_range": 416,
    "too_long": 422,
    "cut_off": 422,
    "took_too_long": 422,
    "too_many": 429,
    "too_many_streams": 429,
    "internal": 500,
    "draining": 503,
    "not_ready": 503,
    "no_room": 507,
}
OF_JOBS = ("no_model", "out_of_memory")  # codes that only the error of a job has
RETRY_SECONDS = {429: 30, 503: 10}
_BY_STATUS = {404: "unknown", 405: "not_allowed", 411: "length_wanted", 413: "too_large"}


class Problem(Exception):
    """A request that is answered by an error: a code of STATUS and one line for people."""

    def __init__(self, code: str, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers or {}

    def answer(self) -> JSONResponse:
        """The response."""
        status = STATUS.get(self.code, 422)
        headers = {**self.headers}
        if status in RETRY_SECONDS:
            headers.setdefault("Retry-After", str(RETRY_SECONDS[status]))
        return JSONResponse(body(self.code, self.message), status, headers)


def body(code: str, message: str) -> dict:
    """The body of every error."""
    return {"error": {"code": code, "message": " ".join(message.split())}}


def install(app: FastAPI) -> None:
    """Let the app answer every error in the same form."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(Exception, _fault)


async def _problem(request: Request, error: Exception):
    assert isinstance(error, Problem)
    return error.answer()


async def _user_error(request: Request, error: Exception):
    return Problem(getattr(error, "code", "bad_option"), str(error)).answer()


async def _invalid(request: Request, error: Exception):
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    got = "" if first["type"] == "missing" else f", got {str(first.get('input'))[:80]!r}"
    wanted = first["msg"][:1].lower() + first["msg"][1:]
    return Problem("bad_option", f"{place}: {wanted}{got}").answer()


async def _http(request: Request, error: Exception):
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(
        error.status_code, "bad_option" if error.status_code < 500 else "internal"
    )
    lines = {
        "unknown": "there is nothing at this address; /docs lists what there is",
        "not_allowed": f"{request.method} is not possible here; /docs lists what is",
    }
    return Problem(code, lines.get(code, str(error.detail)), dict(error.headers or {})).answer()


async def _fault(request: Request, error: Exception):
    # the traceback is logged by the server, which gets the exception too
    return Problem("internal", "a fault of the server; its log says more").answer()
