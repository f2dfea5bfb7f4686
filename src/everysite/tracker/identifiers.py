"""Identifiers as clients send them, and those the tracker makes.

Owns: which `_id` is one, arrays of them, `{#}`, generated ones. Must not know: the index, verbs.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ulid import ULID

from everysite.errors import BadRequest
from everysite.model.element import Body
from everysite.model.path import canonical

Keyed = tuple[str, Body]
"""An identifier, and the keys that were sent with it (without `_id`)."""


def identifier(key: Any) -> str:
    """An `_id` as a client sent it; a path in its one spelling. Raises BadRequest."""
    if not isinstance(key, str) or not key:
        raise BadRequest(f"{key!r} is no identifier; it is a text that is not empty")
    if "\0" in key:
        raise BadRequest(f"{key!r} contains a NUL character")
    return canonical(key) if key[0] == "/" else key


class _Made:
    """The last identifier that was given out, as a number. Units make some on the index's thread, verbs on the loop's."""

    lock = threading.Lock()
    last = 0


def generated() -> str:
    """A new identifier for an element that came without one: 24 hexadecimal digits, as existing clients know them.

    48 bits of ms, then 48 of chance. They sort in the order in which a process makes them, also when its clock steps back.
    """
    fresh = time.time_ns() // 1_000_000 << 48 | random.getrandbits(48)
    with _Made.lock:
        _Made.last = max(_Made.last + 1, fresh)
        return f"{_Made.last:024x}"


def refuse_dollars(body: Body) -> None:
    """Raise BadRequest for a key that starts with '$'. All keys are looked at in one step: most requests have none."""
    if "\0$" in "\0" + "\0".join(body):
        raise BadRequest("a key starts with '$', which is kept for queries; choose another name")


def keyed(items: Iterable[object]) -> Iterator[Keyed]:
    """One pair an identifier, in order; an array as `_id` stands for that many elements. Raises BadRequest."""
    for item in items:
        body = _object(item)
        yield from ((identifier(key), body) for key in _listed(body.pop("_id", None)))


def newly_keyed(
    items: Iterable[object], pattern: str, make: Callable[[Body], str] | None = None, null_text: bool = False
) -> Iterator[Keyed]:
    """The same for elements that may be new: without an `_id` (and, with `null_text`, with "null" for one) they get one
    (that of `make`), and a ULID takes the place of `pattern` in it. Raises BadRequest, also for keys nothing can have."""
    for item in items:
        body = _object(item)
        refuse_dollars(body)
        if "_id" not in body:
            yield make(body) if make else generated(), body
            continue
        for key in _listed(body.pop("_id")):
            if null_text and key == "null":
                yield make(body) if make else generated(), body
            else:
                yield _filled(identifier(key), pattern), body


def pages(items: Sequence[Keyed]) -> Iterator[list[Keyed]]:
    """The items in order, cut where an identifier comes again, so that each page can be written at once."""
    page: dict[str, Body] = {}
    for key, body in items:
        if key in page:
            yield list(page.items())
            page = {}
        page[key] = body
    if page:
        yield list(page.items())


def _object(item: object) -> Body:
    if not isinstance(item, dict):
        raise BadRequest(f"{item!r:.60} is no element; send objects")
    return dict(item)


def _listed(key: Any) -> list[Any]:
    if key == []:
        raise BadRequest("_id is an empty list; name at least one identifier")
    return key if isinstance(key, list) else [key]


def _filled(key: str, pattern: str) -> str:
    if not pattern or pattern not in key:
        return key
    first, *rest = key.split(pattern)
    return first + "".join(f"{ULID()}{part}" for part in rest)
