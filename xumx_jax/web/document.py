"""The OpenAPI document of the interface: FastAPI's, put right where our server differs."""

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from xumx_jax.web.answers import OF_JOBS, STATUS
from xumx_jax.web.guard import is_open

_THEIRS = ("HTTPValidationError", "ValidationError")  # our errors have a form of their own


def document(app: FastAPI) -> dict:
    """Describe all routes, where the token goes, and the form of errors."""
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for name in _THEIRS:
        made["components"]["schemas"].pop(name, None)
    codes = [*STATUS, *OF_JOBS]
    made["components"]["schemas"]["ErrorText"]["properties"]["code"]["enum"] = codes
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _correct(path, method, operation)
    return made


def _correct(path, method, operation):
    answers = operation["responses"]
    if _THEIRS[0] in str(answers.get("422")):
        del answers["422"]
        answers.setdefault("400", _error("`bad_option`"))
    for answer in answers.values():
        if answer["description"] == "Successful Response":
            answer["description"] = "as asked for"
    operation["responses"] = dict(sorted(answers.items()))
    if not is_open(method.upper(), path.replace("{id}", "0" * 32)):
        operation["security"] = [{"token": []}]


def _error(words):
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": words, "content": {"application/json": {"schema": schema}}}
