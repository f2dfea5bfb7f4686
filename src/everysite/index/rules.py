"""What the tables promise each other, and the sentence for each promise that is broken.

Owns: the rules that hold between rows. Must not know: an engine, its own checks.

A task may outlive its element while somebody works on it, so only numbers that were never given out count as wrong there.
"""

from __future__ import annotations

_CHANGED = "(SELECT change FROM element UNION ALL SELECT change FROM tombstone UNION ALL SELECT change FROM replica) AS changed"

RULES = (
    ("copies recorded of elements that are not there", "replica WHERE element NOT IN (SELECT id FROM element)"),
    ("copies recorded at sites that are not there", "replica WHERE site NOT IN (SELECT id FROM site)"),
    ("keys both present and deleted", "element WHERE key IN (SELECT key FROM tombstone)"),
    ("elements whose number was never given out", "element WHERE id > {element}"),
    ("change numbers that were never given out", f"{_CHANGED} WHERE change > {{change}}"),
    (
        "change numbers given twice",
        f"(SELECT change FROM {_CHANGED} GROUP BY change HAVING count(*) > 1) AS twice",
    ),
    ("tasks of elements whose number was never given out", "task WHERE element > {element}"),
    ("tasks of mappings that are not there", "task WHERE mapping NOT IN (SELECT id FROM mapping)"),
    ("tasks under a lease that is not there", "task WHERE lease <> 0 AND lease NOT IN (SELECT id FROM lease)"),
    ("leases of mappings that are not there", "lease WHERE mapping NOT IN (SELECT id FROM mapping)"),
    ("mappings of sites that are not there", "mapping WHERE site NOT IN (SELECT id FROM site)"),
    ("events whose number was never given out", "event WHERE seq > {event}"),
    ("files held in folders that are not there", "held_file WHERE folder NOT IN (SELECT id FROM held_folder)"),
)
"""What is wrong with the rows of a table, and how they are found. {name} is the last number given out of that kind."""
