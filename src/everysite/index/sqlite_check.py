"""Whether a database is sound: the engine's own check, and what the tables promise each other.

Owns: the rules that hold between rows, and the sentences for those that do not. Must not know: threads, files, the way out.

A task may outlive its element while somebody works on it, so only numbers that were never given out count as wrong there.
"""

from __future__ import annotations

import apsw

_MOST = 50  # lines of the engine's own check; one bad page can make thousands
_CHANGED = "(SELECT change FROM element UNION ALL SELECT change FROM tombstone UNION ALL SELECT change FROM replica)"

_RULES = (
    ("copies recorded of elements that are not there", "replica WHERE element NOT IN (SELECT id FROM element)"),
    ("copies recorded at sites that are not there", "replica WHERE site NOT IN (SELECT id FROM site)"),
    ("keys both present and deleted", "element WHERE key IN (SELECT key FROM tombstone)"),
    ("elements whose body is no JSON object", "element WHERE NOT json_valid(body) OR json_type(body) <> 'object'"),
    ("elements whose number was never given out", "element WHERE id > {element}"),
    ("change numbers that were never given out", f"{_CHANGED} WHERE change > {{change}}"),
    ("change numbers given twice", f"(SELECT change FROM {_CHANGED} GROUP BY change HAVING count(*) > 1)"),
    ("tasks of elements whose number was never given out", "task WHERE element > {element}"),
    ("tasks of mappings that are not there", "task WHERE mapping NOT IN (SELECT id FROM mapping)"),
    ("tasks under a lease that is not there", "task WHERE lease <> 0 AND lease NOT IN (SELECT id FROM lease)"),
    ("leases of mappings that are not there", "lease WHERE mapping NOT IN (SELECT id FROM mapping)"),
    ("mappings of sites that are not there", "mapping WHERE site NOT IN (SELECT id FROM site)"),
    ("events whose number was never given out", "event WHERE seq > {event}"),
    ("files held in folders that are not there", "held_file WHERE folder NOT IN (SELECT id FROM held_folder)"),
)
"""What is wrong with the rows of a table, and how they are found. {name} is the last number given out of that kind."""


def check(db: apsw.Connection) -> list[str]:
    """One sentence for each thing that is wrong, [] when nothing is; on one state. Reads everything: some 3 s a GB."""
    db.execute("BEGIN")
    try:
        damaged = engine(db)
        return damaged or _broken(db)  # rules asked of damaged tables would only repeat it
    finally:
        db.execute("ROLLBACK")


def engine(db: apsw.Connection) -> list[str]:
    """What the engine itself finds. A file too damaged to be walked is one sentence."""
    try:
        lines = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({_MOST})")]
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError) as err:
        return [f"the file is damaged: {err}"]
    return [] if lines == ["ok"] else [f"the file is damaged: {line}" for line in lines]


def _broken(db: apsw.Connection) -> list[str]:
    last = dict.fromkeys(("element", "change", "event"), 0)
    last |= dict(db.execute("SELECT name, value FROM number"))
    found: list[str] = []
    for what, rows in _RULES:
        [(count,)] = db.execute(f"SELECT count(*) FROM {rows.format_map(last)}").fetchall()
        if count:
            found.append(f"{count} {what}")
    return found
