"""Bodies of requests: JSON and forms.

Owns: which media types are read, and what makes a body malformed (always BadRequest, never anything else).
Must not know: operations.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from everysite.errors import BadRequest
from everysite.web.errors_http import UnsupportedMedia
from everysite.web.request import Asked
from everysite.web.wiretext import fields

PROGRAMS = b"application/vnd.everysite+json"
"""The media type of programs that speak the operations' own types instead of the forms of existing clients."""

FORM = b"application/x-www-form-urlencoded"
_INDEX = re.compile(r"1?[0-9]|20")  # from 21 on, form readers take numbers for keys
_MAX_DEPTH = 32  # of a[b][c]... in a form
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19  # 2**63 has 19 digits
T = TypeVar("T")


def from_json(decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode JSON. Raises BadRequest saying where it is wrong."""
    try:
        value = decode(body)
        if _LONG_NUMBER in body.translate(_DIGITS):  # a tenth of the time of a regular expression
            check_numbers(msgspec.json.decode(body))
        return value
    except msgspec.ValidationError as err:
        raise BadRequest(f"{err}") from err
    except msgspec.DecodeError as err:
        raise BadRequest(f"the body is no well-formed JSON: {err}") from err
    except UnicodeDecodeError as err:
        raise BadRequest(f"the body is not UTF-8: byte {err.start} of a text") from err
    except RecursionError as err:
        raise BadRequest("the body is nested too deeply") from err


def check_numbers(value: Any) -> None:
    """Raises BadRequest for an integer that neither index could keep."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list | tuple):
            waiting.extend(found)
        elif isinstance(found, int) and not -(1 << 63) <= found < 1 << 63:
            raise BadRequest(f"the number {str(found)[:25]}... does not fit into 64 bits")


def converted(value: Any, kind: type[T], strict: bool = True) -> T:
    """A typed value out of plain ones. Raises BadRequest saying where it is wrong."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as err:
        raise BadRequest(str(err)) from err


def check_names(given: Iterable[str], known: Sequence[str]) -> None:
    """Raises BadRequest for a field there is not, naming the nearest one: left unread, a misspelled `readOnly` would
    make a token that may write."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(known)}"
            raise BadRequest(f"there is no field {name[:40]!r} here; {meant}")


def is_form(asked: Asked) -> bool:
    """Whether the body is a form. Raises UnsupportedMedia for compressed bodies."""
    if asked.headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnsupportedMedia("compressed bodies are not read; send it without Content-Encoding")
    return asked.media_type == FORM


def parsed(asked: Asked, decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode a body that is not a form. Raises UnsupportedMedia when it is neither called JSON nor is."""
    kind = asked.media_type
    if not kind or kind == b"application/json" or kind.endswith(b"+json"):
        return from_json(decode, body)
    try:
        return from_json(decode, body)
    except BadRequest as err:
        shown = kind.decode("latin-1")
        raise UnsupportedMedia(f"bodies of type {shown} are not read; send application/json") from err


def form(body: bytes) -> dict[str, Any]:
    """A form with nested keys: a[b]=1, _id[]=x&_id[]=y; all values are strings. Raises BadRequest."""
    found: dict[str, Any] = {}
    for name, value in fields(body):
        match = _KEY.fullmatch(name)
        if not match:
            raise BadRequest(f"{name[:40]!r} is no key of a form; keys look like a, a[b] or a[]")
        keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(keys) > _MAX_DEPTH:
            raise BadRequest(f"{name[:40]!r}... is nested deeper than {_MAX_DEPTH}")
        _put(found, keys, value, name)
    return {key: _with_lists(value) for key, value in found.items()}


def _with_lists(value: Any) -> Any:
    """a[0]=x&a[1]=y is an array too, in the order of its numbers."""
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(below) for key, below in value.items()}
    if all(_INDEX.fullmatch(key) for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def _put(place: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    head, *rest = keys
    if not rest:
        # The same key again makes a list, as form readers do.
        place[head] = value if head not in place else [*_listed(place[head], name), value]
    elif rest == [""]:
        place.setdefault(head, [])
        place[head] = [*_listed(place[head], name), value]
    else:
        inner = place.setdefault(head, {})
        if not isinstance(inner, dict) or "" in rest[:-1]:
            raise BadRequest(f"{name[:40]!r} contradicts another key of the form")
        _put(inner, rest, value, name)


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        raise BadRequest(f"{name[:40]!r} contradicts another key of the form")
    return value if isinstance(value, list) else [value]
