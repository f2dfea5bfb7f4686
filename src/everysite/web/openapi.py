"""The description of the `/api` face: OpenAPI 3.1, made from the table of operations.

Owns: the document at /api/openapi.json.
Must not know: how operations are carried out.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

import everysite
from everysite.tracker.agent_messages import Fetch
from everysite.tracker.contract import BACKUP, CHANGES, FETCH_PATH, OPERATIONS, SEND_PATH
from everysite.tracker.messages import Ids
from everysite.tracker.operation import Operation
from everysite.tracker.search_messages import Graph, One
from everysite.web.bodies import PROGRAMS
from everysite.web.errors_http import STATUSES
from everysite.web.openapi_doors import doors, group_of, groups

_ELEMENT = {
    "type": "object",
    "description": "An element: `_id` and any keys.",
    "examples": [{"_id": "/shots/010.exr", "comment": "first", "origin": "paris"}],
}
_VERSION = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "minLength": 1}},
    "description": "All keys of the new version.",
}
_ID = {"type": "string", "minLength": 1}
_NULL = {"type": "null"}
_WORDS = {
    400: "The request is wrong; nothing was changed.",
    401: "A valid token is needed.",
    403: "The token does not allow this.",
    404: "What was named does not exist.",
    405: "Another method is needed here.",
    409: "It contradicts what is there.",
    410: "The cursor belongs to another history; start anew.",
    413: "A body or batch above the cap.",
    415: "A body in a form that is not read.",
    422: "It cannot be done.",
    429: "Too many attempts; see Retry-After.",
    500: "A fault of the tracker; the text has a reference for its log.",
    501: "This tracker is not set up to do it.",
    503: "Not now; see Retry-After.",
    507: "No room is left for it.",
}
Json = dict[str, Any]


@cache
def document(base: str = "") -> bytes:
    """The document as JSON, for a tracker below this base path."""
    return msgspec.json.encode(describe() | ({"servers": [{"url": base}]} if base else {}))


def describe() -> Json:
    """The document as values."""
    types = [kind for op in OPERATIONS for kind in (op.request, op.answer) if kind is not dict[str, Any]]
    _, schemas = msgspec.json.schema_components([*types, Fetch], ref_template="#/components/schemas/{name}")
    paths: Json = {}
    for operation in OPERATIONS:
        for method, path, entry in _entries(operation):
            _put(paths, path, method.lower(), entry)
    paths |= doors(STATUSES)
    paths[CHANGES.path]["get"]["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    paths[FETCH_PATH] = {"post": _relay("fetch", "Bytes of another site's files, streamed.", _json(_ref(Fetch)), ())}
    paths[BACKUP.path] = {"get": _entry(BACKUP, {}) | {"responses": _downloaded()}}
    paths[SEND_PATH] = {"put": _relay("send", "The bytes somebody waits for.", _bytes(), ("id",))}
    for path, methods in paths.items():
        for entry in methods.values():
            entry["tags"] = [group_of(path)]
    return {
        "openapi": "3.1.0",
        "info": {"title": "everysite", "version": everysite.__version__, "description": _INTRODUCTION},
        "tags": groups(),
        "paths": paths,
        "components": {"schemas": schemas, "responses": _failures(), "securitySchemes": _SECURITY},
    }


def _put(paths: Json, path: str, method: str, entry: Json) -> None:
    """Paths that differ in the names of their pieces alone are one path to OpenAPI; the first one's names count."""
    shape = re.sub(r"\{\w+\}", "{}", path)
    known = next((other for other in paths if re.sub(r"\{\w+\}", "{}", other) == shape), path)
    names = dict(zip(re.findall(r"\{(\w+)\}", path), re.findall(r"\{(\w+)\}", known), strict=True))
    for place, parameter in enumerate(entry.get("parameters", [])):
        if parameter["in"] == "path":
            entry["parameters"][place] = parameter | {"name": names[parameter["name"]]}
    paths.setdefault(known, {})[method] = entry


_INTRODUCTION = (
    "Bodies are JSON. The forms of existing clients (one object or an array) are application/json; "
    f"{PROGRAMS.decode()} means the named types below, in the body and in the answer. "
    "Socket.IO 4 tells of create, update and remove at /socket.io (with the token); the same as a feed: /api/changes."
)
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "token"},
}


def _entries(operation: Operation[Any, Any]) -> list[tuple[str, str, Json]]:
    if operation.shape in ("plain", "signIn"):
        return [(operation.method, operation.path, _plain(operation))]
    if operation.shape == "list":
        listed = _entry(operation, {"type": "array", "items": _ELEMENT})
        return [(operation.method, operation.path, _plain(operation) | {"responses": listed["responses"]})]
    if operation.shape == "version":
        entry = _entry(operation, _ELEMENT)
        given = {"parameters": [_parameter("id", _ID, "path")], "requestBody": _json(_VERSION)}
        return [(operation.method, operation.path, entry | given)]
    if operation.shape == "graph":
        return _graph(operation)
    if operation.shape == "query":
        found: Json = {"anyOf": [_ELEMENT, _NULL]} if operation.answer is One else {"type": "array", "items": _ID}
        shown = _entry(operation, found)
        asked = shown | {"parameters": [_parameter("query", _ID, "path")]}
        posted = shown | {"operationId": f"{operation.name}By", "requestBody": _json(_ref(operation.request))}
        return [("GET", operation.path, asked), ("POST", operation.path.removesuffix("/{query}"), posted)]
    return _shaped(operation)


def _plain(operation: Operation[Any, Any]) -> Json:
    entry = _entry(operation, _ref(operation.answer))
    names = re.findall(r"\{(\w+)\}", operation.path)
    fields = msgspec.structs.fields(operation.request)
    where = {field.name: "path" if field.name in names else "query" for field in fields}
    shown = [field for field in fields if field.name in names or operation.method == "GET"]
    if shown:
        entry["parameters"] = [
            _parameter(field.encode_name, _schema(field.type), where[field.name], field.required) for field in shown
        ]
    if operation is CHANGES:
        entry["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    if operation.method != "GET" and len(names) < len(fields):
        body = _json(_without(operation.request, names) if names else _ref(operation.request))
        needed = any(field.required for field in fields if field.name not in names)
        entry["requestBody"] = body | {"required": needed}
    return entry


def _graph(operation: Operation[Any, Any]) -> list[tuple[str, str, Json]]:
    whole: Json = {"type": "array", "items": {"anyOf": [_ELEMENT, _NULL]}}
    entry = _entry(operation, *((whole, whole) if operation.answer is Graph else ({"type": "array", "items": _ID},)))
    cut = {"description": "The bound of elements and links, when there are more.", "schema": {"type": "integer"}}
    for status in ("200", "207"):
        if status in entry["responses"]:
            entry["responses"][status]["headers"] = {"X-Graph-Truncated": cut}
    depth = _parameter("depth", {"type": "string", "minLength": 1}, "path")
    body = _json(
        {"anyOf": [_ID, {"type": "array", "items": _ID, "minItems": 1}]}, _without(operation.request, ["depth"])
    )
    by_path = entry | {"operationId": f"{operation.name}By", "parameters": [depth, _parameter("ids", _ID, "path")]}
    posted = entry | {"parameters": [depth], "requestBody": body}
    return [("POST", operation.path, posted), ("GET", operation.path + "/{ids}", by_path)]


def _shaped(operation: Operation[Any, Any]) -> list[tuple[str, str, Json]]:
    one = _ID | {"examples": ["/shots/010.exr"]} if operation.shape == "ids" else _ELEMENT
    got = _ID if operation.answer is Ids else _ELEMENT
    several = {"type": "array", "items": {"anyOf": [got, _NULL]}}
    partial = None if operation.shape == "upsert" else several
    entry = _entry(operation, {"anyOf": [got, several]}, partial=partial)
    least = 0 if operation.shape == "upsert" else 1
    body = _json({"anyOf": [one, {"type": "array", "items": one, "minItems": least}]}, _several(operation, one, least))
    found: list[tuple[str, str, Json]] = [(operation.method, operation.path, entry | {"requestBody": body})]
    if operation.shape == "ids" and operation.method == "POST":
        by_path = entry | {"operationId": f"{operation.name}One", "parameters": [_parameter("ids", _ID, "path")]}
        found.append(("GET", operation.path + "/{ids}", by_path))
    return found


def _several(operation: Operation[Any, Any], one: Json, least: int) -> Json:
    """The request type of programs. Its own schema has nulls, which stand in answers only."""
    [name] = [field.encode_name for field in msgspec.structs.fields(operation.request)][:1]
    listed = {"type": "array", "items": one, "minItems": least}
    return {"type": "object", "required": [name], "properties": {name: listed}}


def _entry(operation: Operation[Any, Any], schema: Json, partial: Json | None = None) -> Json:
    programs = _ref(operation.answer) if operation.shape != "plain" else schema
    answers: Json = {str(operation.status): _answer("Done.", schema, programs)}
    if partial:
        answers["207"] = _answer("Some of it: null stands for what is missing or was refused.", partial, programs)
    entry: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs: {operation.right}.",
        "responses": answers | {str(status): {"$ref": f"#/components/responses/{status}"} for status in STATUSES},
    }
    if operation.right != "anyone":
        entry["security"] = [{"token": []}, {"cookie": []}]
    return entry


def _relay(name: str, summary: str, body: Json, names: tuple[str, ...]) -> Json:
    content: Json = {"application/octet-stream": {}} if name == "fetch" else {"application/json": {}}
    answers: Json = {"200": {"description": "Done.", "content": content}}
    return {
        "operationId": name,
        "summary": summary,
        "description": "Needs: agent.",
        "security": [{"token": []}],
        "parameters": [_parameter(name, _ID, "path") for name in names],
        "requestBody": body,
        "responses": answers | {str(status): {"$ref": f"#/components/responses/{status}"} for status in STATUSES},
    }


def _downloaded() -> Json:
    whole: Json = {"200": {"description": "The file.", "content": {"application/vnd.sqlite3": {}}}}
    return whole | {str(status): {"$ref": f"#/components/responses/{status}"} for status in STATUSES}


def _failures() -> Json:
    told = {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "required": ["error", "code"],
                        "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
                    },
                ]
            }
        },
        "text/plain": {"schema": {"type": "string"}},
    }
    return {str(status): {"description": _WORDS[status], "content": told} for status in STATUSES}


def _answer(description: str, schema: Json, programs: Json) -> Json:
    content = {"application/json": {"schema": schema}, PROGRAMS.decode(): {"schema": programs}}
    return {"description": description, "content": content}


def _json(schema: Json, programs: Json | None = None) -> Json:
    content = {"application/json": {"schema": schema}, PROGRAMS.decode(): {"schema": programs or schema}}
    return {"required": True, "content": content}


def _bytes() -> Json:
    return {"required": True, "content": {"application/octet-stream": {}}}


def _parameter(name: str, schema: Json, where: str, required: bool = True) -> Json:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _ref(kind: Any) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"} if hasattr(kind, "__struct_fields__") else _schema(kind)


def _schema(kind: Any) -> Json:
    return msgspec.json.schema(kind)


def _without(kind: Any, names: list[str]) -> Json:
    """The schema of a request's body when some of its fields are in the path."""
    (_,), found = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    schema: Json = found[kind.__name__]
    properties = {name: value for name, value in schema["properties"].items() if name not in names}
    required = [name for name in schema.get("required", []) if name not in names]
    return schema | {"properties": properties, "required": required}
