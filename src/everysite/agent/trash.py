"""Files taken out of a tree, kept aside.

Owns: where the trash is and how names in it stay apart. Must not know: why a file goes.
"""

from __future__ import annotations

import time

from everysite.disk.faults import explain
from everysite.disk.landing import Landing
from everysite.errors import Conflict, SiteUnreachable
from everysite.model.path import to_text
from everysite.observe.findings import OWN

_TWINS = 1000  # files of one path deleted on one day before something must be wrong


def discard(landing: Landing, name: bytes) -> bytes:
    """Move a file to `.everysite/trash/<date>/` below its root; where it is now. Blocking.

    Raises NotFound, Conflict (a folder in the way), SiteUnreachable.
    """
    day = OWN + b"/trash/" + time.strftime("%Y-%m-%d").encode()
    for twin in range(_TWINS):
        # Twins differ in the folder: a name of 255 bytes has no room for a number.
        to = (day + b".%d" % twin if twin else day) + b"/" + name
        try:
            landing.rename(name, to, None)
            return to
        except Conflict as err:
            last = err
        except SiteUnreachable:
            raise
    raise last


def discard_folder(landing: Landing, folder: bytes, name: bytes = b"") -> bytes:
    """Move a folder to the trash, as `name` (its own when empty); where it is now. Blocking. Raises as `discard`."""
    day = OWN + b"/trash/" + time.strftime("%Y-%m-%d").encode()
    root = landing.root
    for twin in range(_TWINS):
        to = (day + b".%d" % twin if twin else day) + b"/" + (name or folder)
        above, _, leaf = to.rpartition(b"/")
        place = root.folder(above, make=True)
        old_above, _, old_leaf = folder.rpartition(b"/")
        old = root.folder(old_above)
        try:
            root.system.rename_new(old.prefix + old_leaf, place.prefix + leaf, old.fd, place.fd)
        except FileExistsError:
            continue
        except OSError as err:
            raise explain(err, old.full(old_leaf), "moving it to the trash") from err
        root.touched |= {above, old_above}
        return to
    raise Conflict(f"{to_text(folder)}: the trash is full of its twins; empty it")
