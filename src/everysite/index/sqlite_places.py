"""What each path of one query is, in this index as it is now.

Owns: which paths are columns, state keys, indexed; what must be looked up for that. Must not know: predicates, rows.
"""

from __future__ import annotations

import apsw
import msgspec

from everysite.decide.query import AtSite
from everysite.decide.targets import STATE_FIELDS, parse_state_key, truth
from everysite.index.sqlite_indexes import Indexes
from everysite.index.sqlite_paths import COLUMNS, DEEPER, NULL, Place, key_text, ranked_sql
from everysite.index.sqlite_standing import StateKey, standing
from everysite.model.element import Body

_KEY = Place("key", index="element_key", whole=True)
_GLOBALS = "SELECT body FROM element WHERE key = 'rsyncGlobalParameters'"
_decode_body = msgspec.json.Decoder(Body).decode


class Places:
    """Of one query, in one transaction: what was found out stays true."""

    def __init__(self, db: apsw.Connection, indexes: Indexes) -> None:
        self._db = db
        self._indexes = indexes
        self._known: dict[str, Place | StateKey] = {"_id": _KEY}
        self._sites: dict[str, int] | None = None

    def place(self, path: str) -> Place | StateKey:
        """Raises UnicodeEncodeError for what is no Unicode."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._find(path)
        return found

    def standing(self, question: AtSite) -> str:
        """SQL for a question about a site, whose name is taken without regard to case. There is nothing at an unknown one."""
        asked = question.site.lower()
        for name, site in self.sites().items():
            if name.lower() == asked:
                return standing(question.state, site, name, self._everywhere())
        return "0"

    def sites(self) -> dict[str, int]:
        """Numbers of the sites by name."""
        if self._sites is None:
            self._sites = dict(self._db.execute("SELECT name, id FROM site"))
        return self._sites

    def _find(self, path: str) -> Place | StateKey:
        if path.partition("_")[0] in STATE_FIELDS and "." not in path:
            state = parse_state_key(path, self.sites())
            if state is not None:
                return StateKey(state[0], self.sites()[state[1]])
        if path == "digest":
            value = f"CASE WHEN digest IS NULL THEN {ranked_sql(path)} ELSE lower(hex(digest)) END"
            return Place(value, deeper=True, nulls=True)
        value = COLUMNS.get(path) or ranked_sql(path)
        index = f"element_{COLUMNS[path]}" if path in COLUMNS else self._indexes.name(path)
        if index:
            whole = path == "time" or path not in COLUMNS
            return Place(value, self._has(value, DEEPER), self._has(value, NULL), index, whole)
        return Place(value, deeper=True, nulls=True, key=key_text(path))

    def _has(self, value: str, rank: str) -> bool:
        """One seek in an index."""
        return bool(next(self._db.execute(f"SELECT EXISTS (SELECT 1 FROM element WHERE {value} = {rank})"))[0])

    def _everywhere(self) -> bool:
        body = next((_decode_body(row[0]) for row in self._db.execute(_GLOBALS)), {})
        return truth(body.get("syncEverywhere")) is not False
