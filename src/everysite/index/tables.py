"""The tables both engines have, so that one's rows can become the other's.

Owns: names of tables and columns, in an order in which rows can be written. Must not know: SQL types, how rows are read.

The columns `element.parent` ... `origin_name` are no part of it: each engine computes them from the body.
"""

from __future__ import annotations

TABLES: dict[str, str] = {
    "number": "name, value",
    "meta": "key, value",
    "element": "id, key, ms, counter, gen, size, mtime_ns, mode, digest, origin, change, late, body",
    "tombstone": "key, ms, counter, size, mtime_ns, mode, digest, renamed_to, change",
    "replica": 'element, site, gen, synced, syncing, error, error_text, attempted, tries, modified, deleted, seen, "at", change',
    "site": "id, name, folded, element, paused",
    "mapping": "id, site, url, prefix, direction, policy",
    "holding": "mapping, holder, epoch, until",
    "task": "mapping, path, kind, element, gen, size, mtime_ns, mode, digest, source, replaces, priority, run_at, seq,"
    " tries, lease, claimed, error, error_text",
    "lease": "id, mapping, epoch, until, since",
    "held_folder": "id, mapping, parent, name, inode, fingerprint",
    "held_file": "folder, name, size, mtime_ns, ctime_ns, inode, mode, digest",
    "held_stage": "mapping, name",
    "event": 'seq, path, "at", what, site, who, text',
    "credential": "username, hash",
    "token": "id, hash, username, kind, site, until, created, used, label, rank, read_only, prefix",
    "account": "username, key, rank, email, disabled",
    "audit": 'seq, "at", who, what, subject, text, address',
}
