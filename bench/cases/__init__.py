"""One module a case. Each offers `run(setting) -> Table`; the list below is all there is to register."""

from __future__ import annotations

from bench.cases import (
    big_file,
    changed,
    changed_named,
    first_copy,
    live_named,
    million,
    no_change,
    publish,
    rename,
    tracker,
)
from bench.measure import Case

CASES: tuple[Case, ...] = (
    Case("first-copy", first_copy.run),
    Case("no-change", no_change.run),
    Case("changed-100", changed.run),
    Case("changed-100-named", changed_named.run),
    Case("rename", rename.run),
    Case("big-file", big_file.run),
    Case("changed-100-live", live_named.run),
    Case("publish", publish.run),
    Case("tracker-read", tracker.read),
    Case("tracker-search", tracker.search),
    Case("tracker-create", tracker.create),
    Case("tracker-update", tracker.update),
    Case("tracker-batch", tracker.create_batch),
    Case("search-million", million.run),
)
"""In the order they run."""
