"""everysite backup FILE: a consistent copy of everything a running tracker keeps.

Owns: where the copy is put, and that it is there whole or not at all. Must not know: how the copy is made.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from everysite.cli.reach import add_options, talk
from everysite.errors import BadRequest, Unreadable

if TYPE_CHECKING:
    from everysite.client import Client


def arguments(parser: argparse.ArgumentParser) -> None:
    """FILE."""
    parser.add_argument("file", metavar="FILE", help="where to put it, replaced when the new one is whole; '-': stdout")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch it; readable by this user only, since it holds password hashes."""
    if args.file == "-":
        if sys.stdout.isatty():
            raise BadRequest("a backup is no text for a terminal; name a file, or send it on: everysite backup - | ...")
        return talk(args, _to_output)
    target = _target(args.file)
    size = talk(args, lambda client: _to_file(client, target))
    return _said(args, target, size)


def _target(word: str) -> Path:
    """Raises BadRequest for what cannot be replaced by a file, Unreadable for a folder that is not there."""
    target = Path(os.path.realpath(word))
    if target.exists() and not target.is_file():
        raise BadRequest(f"{word} is no file; name one, or write to standard output with '-'")
    if not target.parent.is_dir():
        raise Unreadable(f"{target.parent} is not there; make it first: mkdir -p {target.parent}")
    return target


async def _to_output(client: Client) -> int:
    await _carry(client.backup(), sys.stdout.buffer)
    return 0


async def _to_file(client: Client, target: Path) -> int:
    """The number of bytes. Whatever ends it in the middle, `target` is as it was and nothing lies beside it."""
    handle, stage = tempfile.mkstemp(prefix=".everysite-", suffix=".part", dir=target.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            size = await _carry(client.backup(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(stage, target)
    except BaseException:  # an interrupt too
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stage)
        raise
    return size


async def _carry(chunks: AsyncIterator[bytes], file: BinaryIO) -> int:
    size = 0
    async for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    return size


def _said(args: argparse.Namespace, target: Path, size: int) -> int:
    from everysite.cli import output

    if args.json:
        output.show_json({"file": str(target), "bytes": size})
    else:
        print(f"{output.printable(str(target))}: {output.size(size)}")
    return 0
