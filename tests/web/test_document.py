"""The OpenAPI document: committed as it is, and true."""

import json
import re

from documentation import DOCS, docs_module
from serving import JOBS, listening

from xumx_jax.web.answers import OF_JOBS, STATUS

TEXT = (DOCS / "openapi.json").read_text()
DOCUMENT = json.loads(TEXT)


def operations():
    for path, found in DOCUMENT["paths"].items():
        for method, operation in found.items():
            yield method.upper(), path, operation


def test_the_committed_document_is_that_of_the_code():
    assert docs_module("make_openapi").text() == TEXT, "python docs/make_openapi.py renews it"


def test_it_is_complete():
    assert DOCUMENT["openapi"].startswith("3.1.")
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names) == 17
    for method, path, operation in operations():
        assert operation["description"].endswith("."), path
        for parameter in operation.get("parameters", ()):
            in_path = f"{{{parameter['name']}}}" in path
            assert in_path == (parameter["in"] == "path")
            assert parameter.get("description"), (method, path, parameter["name"])
    schemas = DOCUMENT["components"]["schemas"]
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', TEXT):
        assert reference in schemas
    assert all(schema["description"] for schema in schemas.values())


def test_the_codes_of_errors_are_listed():
    errors = DOCUMENT["components"]["schemas"]["ErrorText"]["properties"]["code"]["enum"]
    assert set(errors) == {*STATUS, *OF_JOBS}
    told = set(re.findall(r"`(\w+)`", " ".join(
        answer["description"]
        for _, _, operation in operations()
        for status, answer in operation["responses"].items()
        if status >= "4"
    )))  # fmt: skip
    assert told <= set(STATUS)


def test_what_needs_the_token_is_what_the_document_says(tmp_path):
    """Every operation, asked without the token."""
    with listening(tmp_path / "data", token="secret") as server:
        server.token = None
        for method, path, operation in operations():
            values = {"id": "0" * 32, "stem": "vocals", "format": "wav"}
            answer = server.ask(method, re.sub(r"{(\w+)}", lambda m: values[m[1]], path))  # noqa: B023
            refused = answer.status == 401
            # what only this machine may read without a token needs one elsewhere
            assert refused == bool(operation.get("security")), (method, path, answer)


def test_jobs_look_as_the_document_says(server, done):
    schemas = DOCUMENT["components"]["schemas"]
    for job in (done, *server.get(JOBS).json()["jobs"]):
        assert (
            set(job) == set(schemas["JobOut"]["properties"]) == set(schemas["JobOut"]["required"])
        )
    assert set(done["stems"][0]) == set(schemas["StemOut"]["properties"])
    assert set(done["options"]) == set(schemas["OptionsOut"]["properties"])
