"""The page that documents the interface: made of its OpenAPI document, with no script in it.

FastAPI's own page loads its program from elsewhere, which our Content-Security-Policy forbids.
"""

import re
from html import escape

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc }
h3 { margin: 2rem 0 .3rem; font: 600 1rem ui-monospace, monospace; overflow-wrap: anywhere }
h3 b { display: inline-block; min-width: 4.5rem; color: #14532d }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .92rem }
td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0;
  border-top: 1px solid #ddd }
code { font: .9em ui-monospace, monospace; background: #f1f1f1; padding: 0 .2em }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #16181a } code { background: #2a2d30 }
  h3 b { color: #86efac } td, th, h2 { border-color: #3a3d40 } a { color: #93c5fd }
}
"""


def documentation(document: dict) -> str:
    """An OpenAPI document as a page of HTML."""
    about = document["info"]
    sections: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            (tag,) = operation["tags"]
            sections.setdefault(tag, []).append(_operation(method, path, operation))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in sections.items()]
    parts.append("<h2>What comes as JSON</h2>")
    parts += [_schema(name, schema) for name, schema in document["components"]["schemas"].items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(about['title'])}</title>"
        '<link rel="stylesheet" href="/docs.css"></head><body>'
        f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"
        f"{_words(about['description'])}"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"{''.join(parts)}</body></html>\n"
    )


def _operation(method, path, operation) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            escape(one["in"]),
            _type(one["schema"]),
            _inline(one.get("description", "")),
        )
        for one in operation.get("parameters", ())
    ]
    made = f"<h3><b>{method.upper()}</b> {escape(path)}</h3>{_words(operation['description'])}"
    made += _table(("parameter", "in", "type", ""), rows)
    if body := operation.get("requestBody"):
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
        made += f"<p>Body: {kinds}. {_inline(body.get('description', ''))}</p>"
    answers = [
        (escape(status), ", ".join(map(_type, _schemas(answer))), _inline(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    return made + _table(("status", "body", ""), answers)


def _schemas(answer) -> list[dict]:
    found = [one["schema"] for one in answer.get("content", {}).values() if one.get("schema")]
    return [schema for schema in found if schema]


def _schema(name, schema) -> str:
    rows = [
        (f"<code>{escape(key)}</code>", _type(one), _inline(one.get("description", "")))
        for key, one in schema.get("properties", {}).items()
    ]
    head = f'<h3 id="{escape(name)}">{escape(name)}</h3>{_words(schema.get("description", ""))}'
    return head + _table(("field", "type", ""), rows)


def _type(schema: dict) -> str:
    """A schema in a few words, with links to those that have a name."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if several := schema.get("anyOf"):
        return " or ".join(map(_type, several))
    if values := schema.get("enum"):
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return escape(str(schema.get("type", "")))


def _table(head, rows) -> str:
    if not rows:
        return ""
    first = "".join(f"<th>{cell}</th>" for cell in head)
    rest = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{rest}</table>"


def _words(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """Text with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
