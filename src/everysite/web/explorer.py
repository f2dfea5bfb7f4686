"""The page at /api/docs: every operation, to read and to try.

Owns: the description as HTML. Must not know: single operations; it shows whatever openapi.json says.

The script beside it (assets/explorer.js) signs in, sends the forms of this page and shows the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any

from starlette.types import Send

from everysite.web.answer import answer
from everysite.web.openapi import describe, document
from everysite.web.options import Options
from everysite.web.page import Page, show
from everysite.web.request import Asked
from everysite.web.routing import Route

Json = dict[str, Any]
_DEEP = 4  # how far types within types are unfolded


class Explorer:
    """The handlers of the page, of the description it is made from, and of the address people try first."""

    def __init__(self, options: Options) -> None:
        self._base = options.base_path.rstrip("/")

    def routes(self) -> tuple[Route, ...]:
        # Clients of ten years ago create by POST /api/; what is not served any more is 404 for them.
        return (
            Route("GET", "/api", self.index, "api", lone=True),
            Route("GET", "/api/docs", self.page, "docs"),
            Route("GET", "/api/openapi.json", self.document, "openapi"),
        )

    async def document(self, asked: Asked, send: Send) -> None:
        await answer(send, 200, document(self._base))

    async def page(self, asked: Asked, send: Send) -> None:
        await show(send, explorer(self._base))

    async def index(self, asked: Asked, send: Send) -> None:
        await show(send, index(self._base))


@cache
def index(base: str) -> Page:
    """Every address, in one table."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{escape(entry['summary'])}"
        for path, methods in describe()["paths"].items()
        for method, entry in methods.items()
    )
    body = (
        f'<main class=wide><h1><a href="{escape(base)}/">everysite</a> API</h1><p>To read and to try: '
        f'<a href="{escape(base)}/api/docs">/api/docs</a>. For programs: '
        f'<a href="{escape(base)}/api/openapi.json">/api/openapi.json</a>.</p><table>{rows}</table></main>'
    )
    return Page("everysite API", body)


@cache
def explorer(base: str) -> Page:
    """The page, for a tracker below this base path."""
    document = describe()
    groups: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            groups.setdefault(entry["tags"][0], []).append((method.upper(), path, entry))
    named = [
        (tag["name"], tag["description"], groups[tag["name"]]) for tag in document["tags"] if tag["name"] in groups
    ]
    menu = "".join(f'<li><a href="#{escape(name)}">{escape(name)}</a> {len(found)}</li>' for name, _, found in named)
    shown = "".join(_group(document, *group) for group in named)
    body = (
        f'<div class=explorer data-base="{escape(base)}"><nav><h1><a href="{escape(base)}/">everysite</a></h1>'
        f"<p>{escape(document['info']['version'])}</p>{_SIGN_IN}"
        '<label>Find<input id="find" type="search" placeholder="lock, /api/sites ..."></label>'
        f"<ul>{menu}</ul></nav><main><p>{escape(document['info']['description'])}</p>{shown}</main></div>"
    )
    return Page("everysite API", body, script="explorer.js")


_SIGN_IN = (
    '<form id="signin"><label>Name<input name="username" autocomplete="username" required></label>'
    '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
    '<button>Sign in</button><output id="who" role="status">not signed in here</output></form>'
)


def _group(document: Json, name: str, about: str, entries: list[tuple[str, str, Json]]) -> str:
    shown = "".join(_operation(document, *entry) for entry in entries)
    return f'<section id="{escape(name)}"><h2>{escape(name)}</h2><p>{escape(about)}</p>{shown}</section>'


def _operation(document: Json, method: str, path: str, entry: Json) -> str:
    words = escape(f"{method} {path} {entry['operationId']} {entry['summary']}".lower())
    return (
        f'<details class=op data-words="{words}"><summary><b class="{method.lower()}">{method}</b> '
        f"<code>{escape(path)}</code> <span>{escape(entry['summary'])}</span></summary>"
        f"<p>{escape(entry.get('description', ''))}</p>"
        f'<form class=try data-method="{method}" data-path="{escape(path)}">{_fields(document, entry)}'
        "<button>Send</button> <button type=button class=stop hidden>Stop</button></form>"
        f"<div class=answer hidden><h4></h4><pre></pre></div>{_answers(document, entry)}</details>"
    )


def _fields(document: Json, entry: Json) -> str:
    shown = "".join(_parameter(each) for each in entry.get("parameters", []))
    content = entry.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        properties = content["multipart/form-data"]["schema"]["properties"]
        return shown + "".join(_part(name, schema) for name, schema in properties.items())
    if not content:
        return shown
    kinds = "".join(f"<option>{escape(kind)}</option>" for kind in content)
    first = next(iter(content.values())).get("schema", {})
    examples = json.dumps(
        {kind: _pretty(_example(document, found.get("schema", {}))) for kind, found in content.items()}
    )
    return (
        f"{shown}<label>Body <select name=':kind' data-examples='{escape(examples)}'>{kinds}</select>"
        f"<textarea name=':body' rows=5 spellcheck=false>{escape(_pretty(_example(document, first)))}</textarea></label>"
        + "".join(_schema(document, kind, found) for kind, found in content.items())
    )


def _parameter(found: Json) -> str:
    schema = found["schema"]
    note = " · ".join(filter(None, [found["in"], _type(schema), "" if found["required"] else "may be missing"]))
    default = schema.get("default")
    hint = "" if default is None else json.dumps(default) if not isinstance(default, str) else default
    need = " required" if found["required"] else ""
    return (
        f"<label>{escape(found['name'])} <small>{escape(note)}</small>"
        f'<input name="{escape(found["in"])}:{escape(found["name"])}" placeholder="{escape(hint)}"{need}></label>'
    )


def _part(name: str, schema: Json) -> str:
    kind = "file" if schema.get("contentMediaType") else "text"
    about = escape(schema.get("description", ""))
    return f'<label>{escape(name)} <small>{about}</small><input type="{kind}" name="part:{escape(name)}"></label>'


def _schema(document: Json, kind: str, found: Json) -> str:
    text = _pretty(_unfolded(document, found.get("schema", {}), _DEEP))
    return f"<details><summary>type of {escape(kind)}</summary><pre>{escape(text)}</pre></details>"


def _answers(document: Json, entry: Json) -> str:
    good = [(status, found) for status, found in entry["responses"].items() if "$ref" not in found]
    bad = [status for status, found in entry["responses"].items() if "$ref" in found]
    shown = "".join(
        f"<li><b>{status}</b> {escape(found['description'])}"
        + "".join(_schema(document, kind, content) for kind, content in found.get("content", {}).items())
        + "</li>"
        for status, found in good
    )
    errors = "".join(
        f"<li><b>{status}</b> {escape(document['components']['responses'][status]['description'])}</li>"
        for status in bad
    )
    return (
        f"<h4>Answers</h4><ul>{shown}</ul><details><summary>Errors: {escape(', '.join(bad))}</summary>"
        f"<ul>{errors}</ul></details>"
    )


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) and not value else json.dumps(value, indent=1, ensure_ascii=False)


def _type(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    return str(schema.get("type", schema.get("$ref", "any").rpartition("/")[2]))


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" in schema:
        found: Json = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _unfolded(document: Json, schema: Any, deep: int) -> Any:
    """The schema with the types it names put in their places."""
    if isinstance(schema, list):
        return [_unfolded(document, each, deep) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _unfolded(document, _resolved(document, schema), deep - 1) if deep else schema["$ref"]
    return {key: _unfolded(document, value, deep) for key, value in schema.items()}


def _example(document: Json, schema: Json, deep: int = _DEEP) -> Any:
    """A value to begin with: what has to be there, with the plainest values."""
    schema = _resolved(document, schema)
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _example(document, schema["anyOf"][0], deep)
    return _plainest(document, schema, deep)


def _plainest(document: Json, schema: Json, deep: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return dict(_members(document, schema, deep))
    if kind == "array":
        return [_example(document, schema.get("items", {}), deep - 1)] if deep and schema.get("items") else []
    return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(str(kind))


def _members(document: Json, schema: Json, deep: int) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties", {})
    for name in schema.get("required") or list(properties)[:3]:
        if deep:
            yield name, _example(document, properties[name], deep - 1)
