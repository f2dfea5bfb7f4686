"""MongoDB's extended JSON as plain values: relaxed, canonical, and the older form.

Owns: the objects `{"$oid": ...}`, `{"$date": ...}` and so on. Must not know: files, BSON.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from everysite.importer import values
from everysite.importer.values import Unfit

_HEX_DIGITS = 24


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it. Raises Unfit for a spelling that is none."""
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, list):
        values.check_depth(depth)
        return [plain(each, depth + 1) for each in value]
    return values.number(value) if isinstance(value, float) else value


def _object(value: dict[str, Any], depth: int) -> Any:
    values.check_depth(depth)
    first = next(iter(value), "")
    if first.startswith("$") and (reader := _READERS.get(frozenset(value))):
        return _read(reader, value, first)
    return {key: plain(each, depth + 1) for key, each in value.items()}


def _read(reader: Callable[[dict[str, Any]], Any], value: dict[str, Any], kind: str) -> Any:
    try:
        return reader(value)
    except (ValueError, TypeError, KeyError, InvalidOperation, OverflowError, binascii.Error) as err:
        raise Unfit(f"{value!r:.80} is no {kind}") from err


def _oid(value: dict[str, Any]) -> str:
    raw = bytes.fromhex(value["$oid"])
    if len(value["$oid"]) != _HEX_DIGITS:
        raise ValueError("an object identifier has 24 hexadecimal digits")
    return values.object_id(raw)


def _date(value: dict[str, Any]) -> int:
    found = value["$date"]
    if isinstance(found, dict):
        found = _long(found)
    if isinstance(found, str):
        moment = datetime.fromisoformat(found)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
    return int(found)


def _long(value: dict[str, Any]) -> int:
    return int(value["$numberLong"])


def _double(value: dict[str, Any]) -> Any:
    return values.number(float(value["$numberDouble"]))


def _decimal(value: dict[str, Any]) -> Any:
    return values.decimal(Decimal(value["$numberDecimal"]))


def _binary(value: dict[str, Any]) -> str:
    inside = value["$binary"]
    data, subtype = (inside["base64"], inside["subType"]) if isinstance(inside, dict) else (inside, value["$type"])
    return values.binary(
        base64.b64decode(data, validate=True), int(subtype, 16) if isinstance(subtype, str) else subtype
    )


def _expression(value: dict[str, Any]) -> str:
    inside = value["$regularExpression"]
    return values.expression(_checked(inside["pattern"]), _checked(inside["options"]))


def _old_expression(value: dict[str, Any]) -> str:
    return values.expression(_checked(value["$regex"]), _checked(value["$options"]))


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("a text is wanted")
    return text


def _stamp(value: dict[str, Any]) -> int:
    return values.seconds(int(value["$timestamp"]["t"]))


def _end_of_keys(value: dict[str, Any]) -> Any:
    raise values.unknown("smallest or largest key")


_READERS: dict[frozenset[str], Callable[[dict[str, Any]], Any]] = {
    frozenset({"$oid"}): _oid,
    frozenset({"$date"}): _date,
    frozenset({"$numberLong"}): _long,
    frozenset({"$numberInt"}): lambda value: int(value["$numberInt"]),
    frozenset({"$numberDouble"}): _double,
    frozenset({"$numberDecimal"}): _decimal,
    frozenset({"$binary"}): _binary,
    frozenset({"$binary", "$type"}): _binary,
    frozenset({"$uuid"}): lambda value: _checked(value["$uuid"]).lower(),
    frozenset({"$regularExpression"}): _expression,
    frozenset({"$regex", "$options"}): _old_expression,
    frozenset({"$timestamp"}): _stamp,
    frozenset({"$symbol"}): lambda value: _checked(value["$symbol"]),
    frozenset({"$code"}): lambda value: _checked(value["$code"]),
    frozenset({"$code", "$scope"}): lambda value: _checked(value["$code"]),
    frozenset({"$undefined"}): lambda value: None,
    frozenset({"$minKey"}): _end_of_keys,
    frozenset({"$maxKey"}): _end_of_keys,
}
