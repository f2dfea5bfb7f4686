"""A real disk that is soon full.

Owns: `mounted`, a tmpfs of its own. Needs root, or the namespace in which `./run test` starts everybody else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(at: Path, mib: int = 4) -> Iterator[Path]:
    """An empty disk of so many MiB, gone afterwards."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)
