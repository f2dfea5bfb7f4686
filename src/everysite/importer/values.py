"""Values that JSON has no word for, as they come into a tracker.

Owns: what becomes of identifiers, dates, numbers, bytes and expressions of a document database; the two ways in which
reading a dump fails. Must not know: how a dump spells them (`bson`, `extended_json`).
"""

from __future__ import annotations

import base64
import math
import uuid
from decimal import Decimal
from typing import Any

from everysite.errors import BadRequest

DEEPEST = 100  # levels of objects and arrays, which is what the document database itself allows
_EXACT = 2**53
_UUIDS = (3, 4)  # subtypes of binary data


class Damaged(BadRequest):
    """The dump itself cannot be read on from here: cut off, or not what it says it is."""


class Unfit(BadRequest):
    """One document cannot come; those after it can."""


def number(value: float) -> int | float | None:
    """Whole numbers as such: the old tracker's language kept most of them as doubles. NaN and the infinities are null, as
    its clients saw them."""
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def decimal(value: Decimal) -> int | float | None:
    """The nearest number there is."""
    return number(float(value))


def object_id(raw: bytes) -> str:
    """24 hexadecimal digits in lower case."""
    return raw.hex()


def binary(raw: bytes, subtype: int) -> str:
    """A UUID in its usual form, everything else in base64."""
    if subtype in _UUIDS and len(raw) == 16:
        return str(uuid.UUID(bytes=raw))
    return base64.b64encode(raw).decode("ascii")


def expression(pattern: str, flags: str) -> str:
    """/pattern/flags"""
    return f"/{pattern}/{flags}"


def seconds(count: int) -> int:
    """A time in s as one in ms, which is what all times of a tracker are."""
    return count * 1000


def check_depth(depth: int) -> None:
    """Raise Unfit when a document is nested deeper than any could be."""
    if depth > DEEPEST:
        raise Unfit(f"it is nested deeper than {DEEPEST} levels")


def unknown(what: Any) -> Unfit:
    """For what has no meaning outside its database."""
    return Unfit(f"it has a value of the kind {what}, which nothing else has; remove it and export again")
