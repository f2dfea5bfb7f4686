"""Whether a database is sound: the engine's own check, and what the tables promise each other.

Owns: carrying the rules out in SQLite. Must not know: the rules' reasons, threads, files, the way out.
"""

from __future__ import annotations

import apsw

from everysite.index.rules import RULES

_MOST = 50  # lines of the engine's own check; one bad page can make thousands
_BODIES = ("elements whose body is no JSON object", "element WHERE NOT json_valid(body) OR json_type(body) <> 'object'")


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
    for what, rows in (*RULES[:3], _BODIES, *RULES[3:]):
        [(count,)] = db.execute(f"SELECT count(*) FROM {rows.format_map(last)}").fetchall()
        if count:
            found.append(f"{count} {what}")
    return found
