"""Files that are gone from one path and found under another, within one scan.

Owns: which new file a lost one became. Must not know: folders that were renamed whole, the tracker.
"""

from __future__ import annotations

from collections.abc import Mapping

from everysite.index.contract import HeldFile


class Renames:
    """Pairs a newly found file with one that is gone, each lost file at most once.

    First by inode (a rename or move on the same disk), then by content alone (moved by copying, or from another disk).
    Empty files have one content all together, so they count by inode only.
    """

    def __init__(self, gone: Mapping[bytes, HeldFile]) -> None:
        self._gone = gone
        self._taken: set[bytes] = set()
        self._by_inode: dict[tuple[int, bytes], bytes] = {}
        self._by_digest: dict[bytes, list[bytes]] = {}
        for path, file in gone.items():
            self._by_inode[file.inode, file.digest] = path
            if file.size:
                self._by_digest.setdefault(file.digest, []).append(path)

    def take(self, found: HeldFile) -> bytes:
        """The path under which this content was held and is gone; b"" when there is none."""
        path = self._by_inode.get((found.inode, found.digest), b"")
        if not path or path in self._taken:
            path = self._alike(found)
        if path:
            self._taken.add(path)
        return path

    def _alike(self, found: HeldFile) -> bytes:
        left = [path for path in self._by_digest.get(found.digest, ()) if path not in self._taken]
        same_name = (path for path in left if path.rpartition(b"/")[2] == found.name)
        return next(same_name, left[0] if left else b"")

    def taken(self, path: bytes) -> bool:
        """Whether a lost file was found again."""
        return path in self._taken
