"""Small JSON files that nobody else may read: tokens and the like.

Owns: their mode (0600 from the first byte on), their replacement in one step, and where the sign-ins are kept.
Must not know: what is in them.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everysite.errors import BadRequest, Unreadable


def read_private(path: Path) -> dict[str, Any]:
    """The file's object; {} when there is no file. Raises Unreadable or BadRequest naming the file."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise Unreadable(
            f"{path} cannot be read ({err.strerror}); it belongs to another user, or its rights changed"
        ) from err
    except ValueError as err:
        raise BadRequest(f"{path} is damaged ({err}); remove it and sign in or join again") from err
    if not isinstance(found, dict):
        raise BadRequest(f"{path} is damaged (no JSON object); remove it and sign in or join again")
    return found


def write_private(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file, readable by its owner only. Raises Unreadable when the place cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, stage = tempfile.mkstemp(prefix=".everysite-", suffix=".part", dir=path.parent)  # 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, indent=1)
                file.write("\n")
            os.replace(stage, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(stage)
            raise
    except OSError as err:
        raise Unreadable(
            f"{path} cannot be written ({err.strerror}); give this account the right to its folder"
        ) from err


def sign_ins_file(environ: Mapping[str, str]) -> Path:
    """Where `everysite sign-in` keeps tokens: tracker url -> {token, username, fingerprint}."""
    config = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser().absolute() / "everysite" / "tokens.json"
