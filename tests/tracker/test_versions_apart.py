"""Agents and trackers one minor version apart understand each other: what may change in their messages, and what may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from everysite.tracker.agent_messages import Claimed, Fetch, Hello, Holds, Welcome
from everysite.tracker.contract import OPERATIONS

REQUIRED = {
    "Announce": "mapping epoch seen",
    "Announced": "counts",
    "Check": "mapping epoch lease paths",
    "Checked": "refused",
    "Claim": "mapping epoch",
    "Claimed": "lease valid_ms jobs places revision",
    "Content": "size mtime_ns mode digest",
    "Fetch": "site files",
    "Globals": "",
    "Hello": "site host version",
    "Hold": "mapping holder",
    "Holds": "epoch until valid_ms",
    "Job": "path kind gen",
    "LetGo": "mapping epoch",
    "Mapping": "site url",
    "MySites": "sites revision",
    "Nothing": "",
    "Place": "url prefix host online",
    "Policy": "",
    "Recall": "mapping epoch",
    "Recalled": "keys",
    "Report": "site values",
    "Result": "path gen ok",
    "Revision": "",
    "SeenItem": "key",
    "Serve": "site",
    "Settle": "mapping epoch lease results",
    "Settled": "refused",
    "Wanted": "id files",
    "WantedFile": "path",
    "Welcome": "site mappings globals paused revision lease_ms",
}
"""What the version before this one sends in every message. A field that is added here is one it does not send: give the
new field a default instead. One that is removed is one it waits for. Both are for the version after the next."""
WORDS = {
    "direction": {"both", "send", "receive"},
    "kind": {"present", "absent", "inspect", "move"},
}
"""Words the version before this one knows. A new one may be sent only to agents that said they know it."""


def structs() -> dict[str, inspect.StructType]:
    """Every message between agents and trackers, and what is inside."""
    found: dict[str, inspect.StructType] = {}
    for operation in OPERATIONS:
        if operation.right == "agent":
            for kind in (operation.request, operation.answer):
                _collect(inspect.type_info(kind), found)
    _collect(inspect.type_info(Fetch), found)
    return found


def _collect(kind: inspect.Type, found: dict[str, inspect.StructType]) -> None:
    if isinstance(kind, inspect.StructType):
        if kind.cls.__name__ in found:
            return
        found[kind.cls.__name__] = kind
        for field in kind.fields:
            _collect(field.type, found)
    for inner in _inside(kind):
        _collect(inner, found)


def _inside(kind: inspect.Type) -> Iterator[inspect.Type]:
    match kind:
        case inspect.ListType() | inspect.VarTupleType():
            yield kind.item_type
        case inspect.DictType():
            yield kind.value_type
        case inspect.UnionType():
            yield from kind.types
        case inspect.TupleType():
            yield from kind.item_types
        case inspect.Metadata():
            yield kind.type


def test_no_message_needs_more_or_less_than_before() -> None:
    found = {name: " ".join(f.encode_name for f in kind.fields if f.required) for name, kind in structs().items()}
    assert found == REQUIRED


def test_no_message_refuses_what_it_does_not_know() -> None:
    assert not [name for name, kind in structs().items() if kind.forbid_unknown_fields]


def test_no_message_has_words_that_were_not_there_before() -> None:
    found: dict[str, set[Any]] = {}
    for kind in structs().values():
        for field in kind.fields:
            if isinstance(field.type, inspect.LiteralType):
                found.setdefault(field.name, set()).update(field.type.values)
    assert found == WORDS


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Hello, b'{"site":"a","host":"h","version":"9.1.0","later":{"x":[1]}}'),
        (Holds, b'{"epoch":1,"until":2,"valid_ms":3}'),
        (
            Welcome,
            b'{"site":"a","mappings":[{"site":1,"url":"","policy":{"enableLater":true,"enableEmission":false},"later":1}],'
            b'"globals":{"syncLater":1},"paused":false,"revision":1,"lease_ms":1,"later":null}',
        ),
        (
            Claimed,
            b'{"lease":1,"valid_ms":1,"jobs":[{"path":"/a","kind":"present","gen":1,"later":2}],'
            b'"places":{"a":[{"url":"","prefix":"/","host":"h","online":true,"later":""}]},"revision":1,"later":[]}',
        ),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_messages_of_the_version_after_and_before_are_understood(kind: type[Any], text: bytes) -> None:
    assert isinstance(msgspec.json.decode(text, type=kind), kind)
