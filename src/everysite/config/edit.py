"""One key of everysite.toml changed; every other line and comment stays as it is.

Owns: the editing of TOML text, and the file's replacement in one step.
Must not know: the environment, the command line, or what a setting does.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from everysite.config.load import FILE, convert, fields, unknown
from everysite.errors import BadRequest, Unreadable


class _Statement(NamedTuple):
    """Lines that belong together: a header, an assignment (of several lines perhaps), a comment, an empty line."""

    text: str
    section: str  # the [table] it stands in
    means: dict[str, Any]  # what it says by itself; {} for a comment


def write(home: Path, key: str, value: Any) -> None:
    """Set "section.key" in the home folder's file, which is made when there is none.

    `value` is of the key's type, or its spelling as text (lists with commas). Raises BadRequest for an unknown key, a
    wrong value, or a file that cannot be edited safely; Unreadable when the file cannot be read or written. The file
    is the old one or the new one at every moment.
    """
    if key not in fields():
        raise BadRequest(unknown(key))
    try:
        value = convert(key, value, text=isinstance(value, str))
    except msgspec.ValidationError as err:
        raise BadRequest(f"{key} cannot be {value!r}; {err}") from err
    path = Path(os.path.realpath(home / FILE))  # a link to the file stays a link
    try:
        old = path.read_bytes().decode() if path.exists() else ""
        _replace(path, edited(old, key, value, str(path)))
    except OSError as err:
        raise Unreadable(f"{path}: cannot be changed ({err.strerror}); give this account the right to it") from err
    except UnicodeDecodeError as err:
        raise BadRequest(f"{path}: is not TOML, which is UTF-8: {err}") from err


def edited(text: str, key: str, value: Any, file: str = FILE) -> str:
    """The TOML text with one key set. Raises BadRequest when it is not TOML or spells the key in a way not handled here."""
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise BadRequest(f"{file}: is not TOML: {err}") from err
    section, _, name = key.partition(".")
    new = _with(_statements(text), section, name, _spelled(value))
    plain = list(value) if isinstance(value, tuple) else value
    try:
        wanted.setdefault(section, {})[name] = plain
        done = tomllib.loads(new) == wanted
    except (tomllib.TOMLDecodeError, TypeError, AttributeError):
        done = False
    if not done:
        raise BadRequest(f"{file}: {key} is written in a way that cannot be edited here; set it by hand in [{section}]")
    return new


def _statements(text: str) -> list[_Statement]:
    """The lines of a valid TOML text, grouped: lines are added until they can be read by themselves."""
    found: list[_Statement] = []
    section = waiting = ""
    for line in text.splitlines(keepends=True):
        waiting += line
        try:
            means = tomllib.loads(waiting)
        except tomllib.TOMLDecodeError:
            continue  # inside an array or a text of several lines
        if means and waiting.lstrip().startswith("["):
            section = waiting.split("#")[0].strip().strip("[]").strip()
            means = {}
        found.append(_Statement(waiting, section, means))
        waiting = ""
    return found


def _with(statements: list[_Statement], section: str, name: str, spelled: str) -> str:
    lines = [each.text for each in statements]
    ours = [i for i, each in enumerate(statements) if each.section == section]
    for i in ours:
        if name in statements[i].means:
            lines[i] = f"{name} = {spelled}{_comment(statements[i])}\n"
            return "".join(lines)
    written = [i for i in ours if statements[i].text.strip()]
    if written:
        last = lines[written[-1]]
        lines[written[-1]] = last if last.endswith("\n") else last + "\n"
        lines.insert(written[-1] + 1, f"{name} = {spelled}\n")
        return "".join(lines)
    before = "".join(lines)
    if before.strip():
        before = before.rstrip("\n") + "\n\n"
    return f"{before}[{section}]\n{name} = {spelled}\n"


def _comment(statement: _Statement) -> str:
    """The remark behind a value, with the space before it. A '#' inside the value leaves text that says something else."""
    text = statement.text.rstrip("\r\n")
    for i, char in enumerate(text):
        if char == "#":
            try:
                if tomllib.loads(text[:i]) == statement.means and "\n" not in text[i:]:
                    return text[len(text[:i].rstrip()) :]
            except tomllib.TOMLDecodeError:
                continue
    return ""


def _spelled(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(_spelled(each) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's escapes are TOML's but for DEL
    return repr(value)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, stage = tempfile.mkstemp(prefix=".everysite-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(handle)
        os.chmod(stage, mode)
        os.replace(stage, path)
    except OSError:
        os.unlink(stage)
        raise
