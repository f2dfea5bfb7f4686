"""A second copy of 200,000 files of which none changed."""

from __future__ import annotations

from bench.measure import Setting, Table
from bench.resync import measure


def run(setting: Setting) -> Table:
    """One walk of the source against the manifest; the peers look at both sides."""
    return measure(setting, 0, False, "No-change pass over {} files")
