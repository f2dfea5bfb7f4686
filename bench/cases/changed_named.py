"""A second copy of 200,000 files of which 100 changed, by a list of their names."""

from __future__ import annotations

from bench.measure import Setting, Table
from bench.resync import measure


def run(setting: Setting) -> Table:
    """`everysite copy --files-from` as a fresh process; the peers find out themselves."""
    return measure(setting, 100, True, "100 changed and named among {} files")
