"""The routes of the server, by what they are about."""

from collections.abc import Callable
from functools import cache
from typing import get_type_hints

from fastapi import APIRouter, Request, params

from xumx_jax.web.answers import STATUS, Problem
from xumx_jax.web.schema import Error


def get(router: APIRouter, path: str, **options) -> Callable:
    """Declare a route for GET, and for HEAD, which only the former documents."""

    def declare(function):
        router.get(path, **options)(function)
        router.head(path, **{**options, "include_in_schema": False})(function)
        return function

    return declare


def errors(*codes: str) -> dict:
    """The `responses` of a route that may answer with these codes of errors."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        status: {"model": Error, "description": " or ".join(f"`{code}`" for code in found)}
        for status, found in sorted(by_status.items())
    }


def check_query(request: Request) -> None:
    """Raise Problem for a parameter that the route does not have, such as a misspelt one."""
    known = parameters(request.scope["endpoint"])
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            wanted = f"wanted some of {', '.join(known)}" if known else "there are none here"
            raise Problem("bad_option", f"{name[:40]}: is no parameter; {wanted}")
        if given.count(name) > 1:
            raise Problem("bad_option", f"{name}: got it {given.count(name)} times; wanted it once")


@cache
def parameters(function: Callable) -> tuple[str, ...]:
    """The names of a route's parameters in the query."""
    hints = get_type_hints(function, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        if any(isinstance(one, params.Query) for one in getattr(hint, "__metadata__", ()))
    )
