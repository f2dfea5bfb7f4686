"""What the operating system's refusals mean here.

Owns: the translation of OSError into the classes of `errors`.
Must not know: stores, sites, what was being attempted beyond one word for it.
"""

from __future__ import annotations

import errno

from everysite.errors import (
    Conflict,
    EverysiteError,
    NotFound,
    PathRefused,
    SiteUnreachable,
    TargetFull,
    TooLarge,
    Unreadable,
)
from everysite.model.path import to_text

_KINDS: dict[int, tuple[type[EverysiteError], str]] = {
    errno.ENOENT: (NotFound, "it does not exist"),
    errno.EACCES: (Unreadable, "access denied; give the account that runs everysite the right to it"),
    errno.EPERM: (Unreadable, "not permitted; look for an immutable flag or a foreign owner"),
    errno.EISDIR: (Unreadable, "a folder is there, not a file; rename one of the two"),
    errno.ENOTEMPTY: (Unreadable, "a folder is there, not a file; rename one of the two"),
    errno.EEXIST: (Conflict, "something is there already"),
    errno.ENOTDIR: (Conflict, "a file is in the place of one of its folders; rename one of the two"),
    errno.ETXTBSY: (Conflict, "it is a program that is running; stop it first"),
    errno.EBUSY: (Conflict, "it is in use by the system"),
    errno.EFBIG: (TooLarge, "this file system cannot hold a file of that size"),
    errno.ENAMETOOLONG: (PathRefused, "the name is too long for this file system; shorten it"),
    errno.EILSEQ: (PathRefused, "this file system cannot hold such a name; rename it"),
    errno.EINVAL: (PathRefused, "this file system does not take such a name; rename it"),
    errno.ELOOP: (PathRefused, "a symbolic link is in the way, which could lead outside the folder; remove it"),
    errno.ENOSPC: (TargetFull, "no space left; free some or move the site to a larger disk"),
}
if hasattr(errno, "EDQUOT"):  # Windows has no disk quota error
    _KINDS[errno.EDQUOT] = (TargetFull, "the disk quota is used up; raise it or free some space")


def explain(err: OSError, path: bytes, doing: str) -> EverysiteError:
    """The error to raise (`from err`) for a call that failed on `path` while `doing` ("reading", "writing" ...).

    Whatever is not known to concern one file alone (EIO, ESTALE, EROFS, EMFILE ...) counts as trouble of the disk.
    """
    kind, why = _KINDS.get(err.errno or 0, (SiteUnreachable, f"{err.strerror or err}; check the disk and its mount"))
    return kind(f"{to_text(path)}: {doing} failed: {why}")
