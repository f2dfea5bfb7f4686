"""Whether a site's folder is really there, before anything in it is called deleted.

Owns: the identity of a root and what a changed one means.
Must not know: what is below the root.

A disk that is not mounted leaves an empty folder behind. What tells it from a tree somebody emptied is that it is
another folder: another device, another inode.
"""

from __future__ import annotations

import os
import stat

from everysite.errors import SiteUnreachable
from everysite.model.path import to_text


def identity(root: bytes) -> str:
    """Device and inode of a root. Raises SiteUnreachable when it is not there, or is no folder."""
    try:
        found = os.stat(root)
    except OSError as err:
        raise SiteUnreachable(
            f"{to_text(root)}: the site's folder is not there ({err.strerror}); mount it or correct its url"
        ) from err
    if not stat.S_ISDIR(found.st_mode):
        raise SiteUnreachable(f"{to_text(root)}: the site's folder is not a folder; correct its url")
    return f"{found.st_dev}:{found.st_ino}"


def check(root: bytes, known: str, holds_files: bool) -> str:
    """The identity of the root now. `known`: the one of the last scan ("": never scanned).

    Raises SiteUnreachable for a folder that is another one than before and empty while files are remembered in it. One
    with another identity that has files is accepted: disks get new numbers, and trees are restored from backups.
    """
    now = identity(root)
    if known and now != known and holds_files and _empty(root):
        raise SiteUnreachable(
            f"{to_text(root)}: another, empty folder is in the place of the site's folder; mount its disk "
            f"(to start over with an empty folder, remove the site and add it again)"
        )
    return now


def _empty(root: bytes) -> bool:
    try:
        with os.scandir(root) as entries:
            return not any(entry.name not in (b".everysite", b"lost+found") for entry in entries)
    except OSError as err:
        raise SiteUnreachable(f"{to_text(root)}: the site's folder cannot be read ({err.strerror})") from err
