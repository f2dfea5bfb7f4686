"""Carrying the write-ahead log into the database file, beside the writer.

Owns: when a checkpoint runs, its thread and connection. Must not know: units, tables.

A checkpoint inside a commit stalls everybody by its fsyncs. Here a thread copies while the writer goes on; only when
the log grew far beyond that (the writer never paused), the writer itself copies the rest, so the log starts again.
"""

from __future__ import annotations

import threading

import apsw

from everysite.index.sqlite_connection import connect

_SOON = 500  # pages of 16 KiB: 8 MB of log
_NOW = 8_000  # 128 MB


class Checkpoints:
    """Told of the log's length after commits."""

    def __init__(self, path: str) -> None:
        self._db = connect(path)
        self._due = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="index-checkpoint", daemon=True)
        self._thread.start()

    def committed(self, writer: apsw.Connection, pages: int) -> None:
        """In the writer's thread, outside of a transaction."""
        if pages >= _NOW:
            _copy(writer)
        elif pages >= _SOON:
            self._due.set()

    def close(self) -> None:
        """Before the last connection goes; that one empties the log."""
        self._closing = True
        self._due.set()
        self._thread.join()
        self._db.close()

    def _work(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._closing:
                return
            _copy(self._db)


def _copy(db: apsw.Connection) -> None:
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error:
        return  # full or failing disk: the log keeps everything, and the next commit tells its caller
