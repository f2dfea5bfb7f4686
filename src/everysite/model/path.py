"""Paths: bytes on disk, one reversible text form for identifiers, JSON and object keys.

Owns: the text form of names that are not UTF-8, and the rules that keep a name inside its root.
Must not know: any file system. Windows rules are in `decide/naming.py`.

A name on disk is bytes. Its text form is its UTF-8 reading; a byte that is not part of valid UTF-8 becomes the
private character U+EF00 + byte (0x80..0xFF, so U+EF80..U+EFFF). A name that really contains one of those
characters has its three bytes written that way too, so the form stays reversible: bytes -> text -> bytes is the
identity, and every text names one byte string.
"""

from __future__ import annotations

import re
from typing import NewType

from everysite.errors import PathRefused

Name = NewType("Name", bytes)
"""A relative name below some root: '/'-separated bytes, no empty, '.' or '..' part, no NUL."""

_ESCAPED = re.compile("[\uef80-\uefff]+")
_MAX_PATH = 4096 - 256  # bytes; Linux PATH_MAX less room for the root it is joined to


def to_text(raw: bytes) -> str:
    """The one text form of a byte name. Never fails, never contains a surrogate."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "surrogateescape")
        text = "".join(chr(ord(c) - 0xDC00 + 0xEF00) if "\udc80" <= c <= "\udcff" else _guard(c) for c in text)
        return text
    return _ESCAPED.sub(lambda m: "".join(map(_guard, m.group())), text) if _ESCAPED.search(text) else text


def _guard(char: str) -> str:
    if "\uef80" <= char <= "\uefff":
        return "".join(chr(0xEF00 + byte) for byte in char.encode())
    return char


def to_bytes(text: str) -> bytes:
    """The byte name of a text form. Raises PathRefused for text that is not Unicode (lone surrogates)."""
    try:
        if not _ESCAPED.search(text):
            return text.encode()
        return b"".join(bytes([ord(c) - 0xEF00]) if "\uef80" <= c <= "\uefff" else c.encode() for c in text)
    except UnicodeEncodeError as err:
        raise PathRefused(f"{text!r} is not valid Unicode; send names that are not UTF-8 in their text form") from err


def canonical(text: str) -> str:
    """The same text for the same bytes, however a client spelled it."""
    return to_text(to_bytes(text)) if _ESCAPED.search(text) else text


def name(raw: bytes) -> Name:
    """Check a relative byte name. Raises PathRefused naming what is wrong with it."""
    if not raw:
        raise PathRefused("an empty name is no file")
    if b"\0" in raw:
        raise PathRefused(f"{raw!r} contains a NUL byte")
    if raw.startswith(b"/"):
        raise PathRefused(f"{to_text(raw)!r} is absolute; names are relative to the site's folder")
    if len(raw) > _MAX_PATH:
        raise PathRefused(f"a name of {len(raw)} bytes is longer than {_MAX_PATH}")
    for part in raw.split(b"/"):
        if not part:
            raise PathRefused(f"{to_text(raw)!r} has two slashes in a row, or one too many at its end; write one")
        if part in (b".", b".."):
            raise PathRefused(f"{to_text(raw)!r} has the part {to_text(part)!r}, which could lead outside the folder")
        if len(part) > 255:
            raise PathRefused(f"{to_text(part)[:40]!r}... is {len(part)} bytes long; a file name has at most 255")
    return Name(raw)


def check_id(key: str) -> str:
    """Check and canonicalise a file `_id`: absolute text path, a trailing '/' marks a package.

    Raises PathRefused: not starting with '/', a part that is empty, '.' or '..', NUL, too long.
    """
    if not key.startswith("/") or key == "/":
        raise PathRefused(
            f"{key!r} is no path; a path starts with '/' and names a file, or a package by a trailing '/'"
        )
    key = canonical(key)
    raw = to_bytes(key)
    name(raw[1:-1] if raw.endswith(b"/") else raw[1:])
    return key


def is_path(key: str) -> bool:
    """Whether an `_id` can be the path of a file at a site. Other identifiers may begin with '/' all the same."""
    try:
        return check_id(key) == key
    except PathRefused:
        return False


def below(key: str, prefix: str) -> bool:
    """Whether a path lies in the part of the namespace that `prefix` (ending with '/') stands for."""
    return key.startswith(prefix) and key != prefix


def name_in(key: str, prefix: str = "/") -> Name:
    """The byte name, relative to a mapping's root, of a path below the mapping's prefix."""
    if not below(key, prefix):
        raise PathRefused(f"{key!r} is not below {prefix!r}")
    return name(to_bytes(key[len(prefix) :].removesuffix("/")))


def key_of(raw: bytes, prefix: str = "/", package: bool = False) -> str:
    """The `_id` of a byte name found below a mapping's root."""
    return prefix + to_text(raw) + ("/" if package else "")


def is_package(key: str) -> bool:
    """Whether an `_id` stands for a whole folder delivered as one element."""
    return key.startswith("/") and key.endswith("/")
