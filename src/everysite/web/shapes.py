"""How operations are asked and answered over HTTP: the plain form, and the forms of existing tracker clients.

Owns: bodies and paths -> requests, answers -> status and body (tracker-api 2).
Must not know: routes, sign-in, how an operation is carried out.

A form reads a request and tells whether one single thing was asked for; with that it writes the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from everysite.errors import BadRequest, Conflict, NotFound, PathRefused, TooLarge
from everysite.tracker.messages import Ids, Items, Published, Query
from everysite.tracker.operation import Operation
from everysite.tracker.search_messages import Graph, GraphAsked, One, Reached
from everysite.web import bodies
from everysite.web.answer import Headers
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.wiretext import decoded, decoded_again, fields

_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode

_ALWAYS_ARRAY = frozenset({"publish", "graph", "graph_backwards", "graph_forwards"})
TRUNCATED = b"x-graph-truncated"
"""How many elements and links a graph may have, when there are more of them than the answer shows."""
_SINGLE_IF_ONE = frozenset({"update", "upsert", "lock", "unlock"})  # even when an array of one was sent
_TAKEN = frozenset({"publish", "create"})  # nothing done means: all of it was there already

_STRANGERS = 64 << 10
"""Bytes of a body from somebody who need not have signed in."""
_DEPTH = re.compile(r"[0-9]{1,9}(\.[0-9]*)?")

Written = tuple[int, bytes] | tuple[int, bytes, Headers]


class Form(Protocol):
    """One way to ask an operation."""

    async def read(self, asked: Asked) -> tuple[Any, bool]:
        """The request, and whether a single thing was asked for. Raises BadRequest, TooLarge."""

    def write(self, answer: Any, single: bool) -> Written:
        """Status, body, and headers besides the usual.

        Raises NotFound or Conflict when nothing of what was asked for could be done.
        """


class Plain:
    """The operation's own types as JSON; fields may also come from the path and, on GET, from the query string."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._operation, self._options = operation, options
        self._largest = min(options.max_body, _STRANGERS) if operation.right == "anyone" else options.max_body
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(operation.request).decode
        self._fields = {field.name: field for field in msgspec.structs.fields(operation.request)}
        # Administration reads no field silently; agents of another version may send some that are not known here.
        exact = operation.request.__struct_config__.forbid_unknown_fields
        self._known = [field.encode_name for field in self._fields.values()] if exact else None
        self._empty = None if any(field.required for field in self._fields.values()) else operation.request()

    async def read(self, asked: Asked) -> tuple[Any, bool]:
        if asked.method == "GET":
            request = self._from_address(asked) if self._fields else self._empty
        else:
            request = self._from_body(asked, await asked.body(self._largest))
        self._cap(request)
        return request, False

    def _from_address(self, asked: Asked) -> Any:
        given = {name: value for name, value in fields(asked.query) if name in self._fields}
        request = bodies.converted(given | asked.params, self._operation.request, strict=False)
        bodies.check_numbers(msgspec.structs.asdict(request))
        return request

    def _from_body(self, asked: Asked, body: bytes) -> Any:
        if bodies.is_form(asked):
            return self._merged(bodies.form(body), asked.params, strict=False)
        if not body and not asked.params and self._empty is not None:
            return self._empty
        if not asked.params and self._known is None:
            return bodies.parsed(asked, self._decode, body)
        value = bodies.parsed(asked, _decode_any, body) if body else {}
        if not isinstance(value, dict):
            raise BadRequest(f"the body has to be a JSON object, not {_kind(value)}")
        return self._merged(value, asked.params, strict=True)

    def _merged(self, value: dict[str, Any], params: dict[str, str], strict: bool) -> Any:
        if self._known is not None:
            bodies.check_names(value, self._known)
        for name, text in params.items():
            field = self._fields[name]
            wanted = bodies.converted(text, field.type, strict=False)
            if value.get(field.encode_name, wanted) != wanted:
                raise BadRequest(f"{name} is {text!r} in the path and another one in the body; send it once")
            value[field.encode_name] = wanted
        request = bodies.converted(value, self._operation.request, strict)
        bodies.check_numbers(value)
        return request

    def _cap(self, request: Any) -> None:
        if isinstance(request, Items):
            _check_items(request.items, self._options.max_batch, least=0 if self._operation.shape == "upsert" else 1)
        elif isinstance(request, Ids):
            _check_ids(request.ids, self._options.max_batch)

    def write(self, answer: Any, single: bool) -> Written:
        return self._operation.status, _encode(answer)


class ItemsForm:
    """One object or an array of objects."""

    least = 1

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self.operation, self.options = operation, options

    async def read(self, asked: Asked) -> tuple[Items, bool]:
        body = await asked.body(self.options.max_body)
        value = bodies.form(body) if bodies.is_form(asked) else bodies.parsed(asked, _decode_any, body)
        single = isinstance(value, dict)
        items = [value] if single else value
        if not isinstance(items, list):
            raise BadRequest(f"send a JSON object or an array of objects, not {_kind(value)}")
        _check_items(items, self.options.max_batch, self.least)
        return Items(items), single

    def write(self, answer: Items | Published, single: bool) -> Written:
        if self.operation.name == "create" and self.options.create_returns == "ids":
            return _many(self.operation, [body and body["_id"] for body in answer.items], single)
        children = answer.children if isinstance(answer, Published) else []
        return _many(self.operation, answer.items, single, children)


class IdsForm:
    """One identifier or an array of them; on GET the rest of the path, split at commas."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._operation, self._options = operation, options

    async def read(self, asked: Asked) -> tuple[Ids, bool]:
        if asked.method == "GET":
            value: Any = asked.params["ids"].split(",")
            single = len(value) == 1
        else:
            body = await asked.body(self._options.max_body)
            value = bodies.form(body) if bodies.is_form(asked) else bodies.parsed(asked, _decode_any, body)
            single = isinstance(value, str)
        ids = [value] if isinstance(value, str) else value
        if not isinstance(ids, list):
            raise BadRequest(f"send an identifier or an array of identifiers, not {_kind(value)}")
        _check_ids(ids, self._options.max_batch)
        return Ids(ids), single

    def write(self, answer: Items | Ids, single: bool) -> Written:
        values: list[Any] = answer.items if isinstance(answer, Items) else answer.ids
        return _many(self._operation, values, single)


class QueryForm:
    """A text: the rest of the path (with '?' and what follows, which clients forget to encode), or a Query as JSON."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._operation, self._plain = operation, Plain(operation, options)

    async def read(self, asked: Asked) -> tuple[Query, bool]:
        if asked.method != "GET":
            return await self._plain.read(asked)
        text = decoded_again(asked.params["query"] + ("?" + decoded(asked.query) if asked.query else ""))
        if not text.strip() or text == "undefined":
            raise BadRequest("an empty query; '*' lists everything, key:value looks for a value")
        return Query(text), False

    def write(self, answer: Ids | One, single: bool) -> Written:
        return self._operation.status, _encode(answer.item if isinstance(answer, One) else answer.ids)


class GraphForm:
    """A depth in the path, and identifiers below it or in the body."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._operation, self._ids = operation, IdsForm(operation, options)

    async def read(self, asked: Asked) -> tuple[GraphAsked, bool]:
        ids, _ = await self._ids.read(asked)
        text = asked.params["depth"]
        return GraphAsked(int(float(text)) if _DEPTH.fullmatch(text) else 0, ids.ids), False

    def write(self, answer: Graph | Reached, single: bool) -> Written:
        values: list[Any] = answer.items if isinstance(answer, Graph) else answer.ids
        if not values:
            raise NotFound("no such element")
        headers = [(TRUNCATED, b"%d" % answer.truncated)] if answer.truncated else []
        return *_many(self._operation, values, False), headers


class ListForm(Plain):
    """Asked as the plain form; the answer is the array in it."""

    async def read(self, asked: Asked) -> tuple[Any, bool]:
        request, _ = await super().read(asked)
        return request, bodies.PROGRAMS in asked.headers.get(b"accept", b"")

    def write(self, answer: Items, single: bool) -> Written:
        """Programs, which have no body to call their type on a GET, get the operation's own answer."""
        return self._operation.status, _encode(answer if single else answer.items)


def _many(
    operation: Operation[Any, Any], values: list[Any], single: bool, children: Sequence[Any] = ()
) -> tuple[int, bytes]:
    """The answer table of tracker-api 2: single or array, 207 for some, an error for none."""
    missing = values.count(None)
    if missing and missing == len(values):
        raise Conflict("already tracked") if operation.name in _TAKEN else NotFound("no such element")
    alone = len(values) == 1 and (single or operation.name in _SINGLE_IF_ONE) and operation.name not in _ALWAYS_ARRAY
    body = values[0] if alone else [*values, *children]
    return 207 if missing else operation.status, _encode(body)


def _check_items(items: list[Any], cap: int, least: int = 1) -> None:
    if len(items) < least:
        raise BadRequest("an empty array; send at least one object")
    _check_count(len(items), cap)
    count = 0
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadRequest(f"item {place} is {_kind(item)}; every item has to be an object")
        key = item.get("_id", "")
        keys = key if isinstance(key, list) else [key]
        if any("\0" in key for key in keys if isinstance(key, str)):
            raise PathRefused(f"the _id of item {place} contains a NUL character")
        count += len(keys)
    _check_count(count, cap)


def _check_ids(ids: list[Any], cap: int) -> None:
    if not ids:
        raise BadRequest("an empty array; send at least one identifier")
    _check_count(len(ids), cap)
    for place, key in enumerate(ids):
        if not isinstance(key, str) or not key:
            raise BadRequest(f"identifier {place} is {_kind(key)}; identifiers are texts of at least one character")
        if "\0" in key:
            raise PathRefused(f"identifier {place} contains a NUL character")


def _check_count(count: int, cap: int) -> None:
    if count > cap:
        raise TooLarge(f"{count} items in one request; the cap is {cap}, send smaller batches")


def _kind(value: Any) -> str:
    """A JSON value in words."""
    if value is None or value == "" or isinstance(value, bool):
        return {None: "null", "": "an empty text", True: "true", False: "false"}[value]
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")
