"""Whether a database is sound: what the tables promise each other, and what the engine can be asked.

Owns: carrying the rules out in PostgreSQL. Must not know: the rules' reasons, threads, the way out.

Damaged pages are found by data checksums when they are read, and all are read here. What goes beyond that (pg_amcheck) needs
rights and extensions of the server's owner.
"""

from __future__ import annotations

import psycopg

from everysite.index.postgres_connection import connect, explain
from everysite.index.postgres_session import Session
from everysite.index.rules import RULES

_MORE = (
    ("elements whose body is no JSON object", "element WHERE json_typeof(body) <> 'object'"),
    ("elements whose keys an index finds otherwise than their bodies say",
     """element WHERE (parent, src_id, tgt_id, time, origin_name) IS DISTINCT FROM (
        everysite_ranked(body, '#parent'), everysite_ranked(body, 'src_id'), everysite_ranked(body, 'tgt_id'),
        everysite_ranked(body, 'time'), everysite_ranked(body, 'origin'))"""),
)  # fmt: skip
_UNSOUND = (
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
    " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
)


def check(url: str, place: str) -> list[str]:
    """One sentence for each thing that is wrong, [] when nothing is; on one state. Reads everything."""
    try:
        with connect(url) as db:
            session = Session(db, writes=False)
            session.later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return _broken(session)
    except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as err:
        return [f"the database is damaged: {err}"]
    except psycopg.Error as err:
        raise explain(err, place) from err


def _broken(session: Session) -> list[str]:
    found = [f"the index {name} was not built to its end; drop it" for (name,) in session.rows(_UNSOUND)]
    last = dict.fromkeys(("element", "change", "event"), 0)
    last |= dict(session.rows("SELECT name, value FROM number"))
    for what, rows in (*RULES, *_MORE):
        count = session.one(f"SELECT count(*) FROM {rows.format_map(last)}")
        if count:
            found.append(f"{count} {what}")
    return found
