"""What of a file is asked for: conditions and ranges (RFC 9110).

Owns: ETag and Last-Modified of a file, If-None-Match, If-Modified-Since, If-Range and Range.
Must not know: where files lie, how they are sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime

_RANGE = re.compile(rb"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*")

Headers = list[tuple[bytes, bytes]]


class Unsatisfiable(Exception):
    """The range begins after the end of the file."""


def etag(found: os.stat_result) -> bytes:
    """A tag that changes with the file; a file that is replaced by another one has another inode."""
    return b'"%x-%x-%x"' % (found.st_mtime_ns, found.st_size, found.st_ino)


def validators(found: os.stat_result) -> Headers:
    """What a client may ask about later."""
    modified = formatdate(found.st_mtime, usegmt=True).encode()
    return [(b"etag", etag(found)), (b"last-modified", modified), (b"accept-ranges", b"bytes")]


def unchanged(headers: Mapping[bytes, bytes], found: os.stat_result) -> bool:
    """Whether the client has it already, as its condition says."""
    tags = headers.get(b"if-none-match")
    if tags is not None:
        return tags.strip() == b"*" or etag(found) in _tags(tags)
    since = _date(headers.get(b"if-modified-since", b""))
    return since is not None and int(found.st_mtime) <= since


def _tags(text: bytes) -> list[bytes]:
    return [tag.strip().removeprefix(b"W/") for tag in text.split(b",")]


def _date(text: bytes) -> float | None:
    try:
        return parsedate_to_datetime(text.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None


def wanted(headers: Mapping[bytes, bytes], found: os.stat_result) -> tuple[int, int] | None:
    """The asked range as (first byte, byte after the last); None: the whole file, also for several ranges, which nobody
    has to serve, and for a file that is not the one the client has a part of. Raises Unsatisfiable."""
    match = _RANGE.fullmatch(headers.get(b"range", b""))
    if not match or match.group(1) == match.group(2) == b"" or not _same(headers.get(b"if-range"), found):
        return None
    size = found.st_size
    if not match.group(1):
        count = _number(match.group(2))
        if not count or not size:
            raise Unsatisfiable
        return max(size - count, 0), size
    first, last = _number(match.group(1)), _number(match.group(2)) if match.group(2) else size - 1
    if last < first and match.group(2):
        return None  # no range at all
    if first >= size:
        raise Unsatisfiable
    return first, min(last + 1, size)


def _number(digits: bytes) -> int:
    return int(digits[:20])  # more digits than any file has bytes


def _same(condition: bytes | None, found: os.stat_result) -> bool:
    if condition is None or condition.strip() == etag(found):
        return True
    return condition.strip() == formatdate(found.st_mtime, usegmt=True).encode()
