"""A dump as documents, whichever form it has.

Owns: recognising the form (by content, never by name), compression, which collection of several is meant.
Must not know: what becomes of a document.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from everysite.errors import BadRequest, NotFound, Unreadable
from everysite.importer import archive, bson, json_texts
from everysite.importer.json_texts import Found
from everysite.importer.values import Damaged, Unfit

_GZIP = b"\x1f\x8b"
_OWN = ("admin", "config", "local")  # databases the server keeps for itself
_BSON = (".bson", ".bson.gz")
_HIGHEST = [
    bytes([byte]) for byte in range((bson.LARGEST >> 24) + 1)
]  # last byte of a length; JSON has no such characters


def documents(paths: Sequence[str], collection: str = "", check: bool = False) -> Iterator[Found]:
    """Every document of all dumps in order; places begin with the file.

    `collection` ("name" or "database.name") is needed where a dump has several. `check`: compare checksums too.
    Raises NotFound, Unreadable, BadRequest (several collections), Damaged.
    """
    for path in paths:
        for file in _files(Path(path), collection):
            try:
                with file.open("rb") as stream:
                    for found in _of_file(stream, collection, check):
                        yield found._replace(place=f"{file}, {found.place}")
            except Damaged as err:
                raise Damaged(f"{file}: {err}") from err
            except BadRequest as err:
                raise BadRequest(f"{file}: {err}") from err
            except (EOFError, zlib.error, gzip.BadGzipFile) as err:
                raise Damaged(f"{file}: it is cut off or damaged: {err}; make the dump again") from err
            except OSError as err:
                raise Unreadable(f"{file} cannot be read ({err.strerror}); give this account the right to it") from err


def _files(path: Path, collection: str) -> list[Path]:
    if not path.exists():
        raise NotFound(f"{path} is not there; name a file or a folder made by mongoexport or mongodump")
    if not path.is_dir():
        return [path]
    found = {_name(file): file for file in sorted(path.glob("**/*")) if file.name.endswith(_BSON) and file.is_file()}
    if not found:
        raise NotFound(f"{path} has no .bson file in it; name the folder that mongodump made")
    return [found[chooser(collection)(list(found))]]


def _name(file: Path) -> str:
    return f"{file.parent.name}.{file.name.removesuffix('.gz').removesuffix('.bson')}"


def chooser(collection: str) -> Callable[[list[str]], str]:
    """Picks the one of some collections ("database.name") that is meant. Raises BadRequest naming them."""

    def choose(names: list[str]) -> str:
        known = [name for name in names if name.split(".")[0] not in _OWN and ".system." not in f".{name}"]
        fitting = [name for name in known if collection in ("", name, name.partition(".")[2])]
        if len(fitting) == 1:
            return fitting[0]
        listed = ", ".join(sorted(fitting or known)[:20]) or "none"
        raise BadRequest(f"say which collection is meant with --collection NAME; there are: {listed}")

    return choose


def _of_file(stream: BinaryIO, collection: str, check: bool) -> Iterator[Found]:
    head = stream.read(2)
    if head == _GZIP:
        stream.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
        head = stream.read(2)
    head += stream.read(2)
    if head == archive.MAGIC:
        yield from _decoded(archive.read(stream, chooser(collection), check))
    elif head[3:] in _HIGHEST:
        yield from _decoded(bson.raw_documents(stream, head))
    else:
        yield from json_texts.documents(stream, head)


def _decoded(raws: Iterator[bytes]) -> Iterator[Found]:
    for number, raw in enumerate(raws, 1):
        try:
            yield Found(f"document {number}", bson.decode(raw))
        except Unfit as err:
            yield Found(f"document {number}", None, str(err))
