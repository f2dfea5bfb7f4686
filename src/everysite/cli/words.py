"""Values as a person types them on a command line.

Owns: key=value pairs, passwords, folders. Must not know: which verb wants them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from everysite.errors import BadRequest, NotFound, Unreadable


def pairs(texts: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a dict; a value is JSON where it reads as JSON, else text. Raises BadRequest."""
    found: dict[str, Any] = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark or not key.strip():
            raise BadRequest(f"{text!r} is no key=value; write it like sleepBetweenScans=30 (key=null removes a key)")
        found[key.strip()] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def existing_folder(text: str) -> Path:
    """The absolute path of a folder that is there. Raises NotFound or BadRequest saying what to do."""
    path = Path(os.path.abspath(os.path.expanduser(text)))
    if path.is_dir():
        return Path(os.path.realpath(path))
    if path.exists() or path.is_symlink():
        raise BadRequest(f"{path} is no folder; name the folder that holds the site's files")
    raise NotFound(f"{path} is not there; make it (mkdir -p {path}) or mount it first")


def new_password(variable: str, file: str | None, who: str) -> str:
    """A password from a file ('-' is standard input), else the environment variable, else a prompt (asked twice)."""
    if file is None and not os.environ.get(variable):
        password = _prompt(f"password for {who}: ", variable)
        if password != _prompt("once more: ", variable):
            raise BadRequest("the two passwords differ; nothing was changed")
        return _not_empty(password, who)
    return _not_empty(given_password(variable, file, who), who)


def given_password(variable: str, file: str | None, who: str) -> str:
    """The same, asked once: for a password that exists already."""
    if file is not None:
        return _from_file(file)
    return os.environ.get(variable) or _prompt(f"password for {who}: ", variable)


def _from_file(file: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise Unreadable(f"{file} cannot be read as a password file: {err}") from err
    return text.split("\n", 1)[0].rstrip("\r")


def _prompt(text: str, variable: str) -> str:
    if not sys.stdin.isatty():
        raise BadRequest(f"no terminal to ask for the password; set {variable} or use --password-file")
    import getpass

    return getpass.getpass(text)


def _not_empty(password: str, who: str) -> str:
    if not password:
        raise BadRequest(f"an empty password would let everybody in as {who}; nothing was changed")
    return password
