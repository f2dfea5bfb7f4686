"""The doors beside the table of operations, as the description tells of them, and the groups of all operations.

Owns: the entries of `/api/file`, `/api/upload` and the page; which group an address belongs to.
Must not know: how a door works, the entries of operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

_GROUPS = {
    "elements": "Documents by identifier: files, comments, links, whatever you keep.",
    "questions": "Searching, graphs, lists, what changed.",
    "files": "Bytes of files below the configured folder.",
    "sites": "Sites, how they stand, and why a file is where it is.",
    "access": "Signing in, users, tokens.",
    "tracker": "The tracker itself.",
    "agents": "What agents ask; needs an agent's token.",
}
_MEMBERS = {
    "agents": ("agent",),
    "sites": ("sites", "status", "why", "log", "drop", "verifySite"),
    "access": (
        "signIn", "signOut", "verify", "users", "user", "tokens", "createToken", "lostPassword", "changePassword", "resetPassword",
        "audit", "whoami",
    ),
    "questions": (
        "search", "search_one", "search_mongo", "graph", "graph_backwards", "graph_forwards", "missing", "outdated", "only",
        "error", "changed", "changes", "events", "listup", "listdown",
    ),
    "files": ("file", "upload"),
    "tracker": (
        "", "health", "openapi.json", "docs", "backup", "integrity", "indexes", "index", "settings",
    ),
}  # fmt: skip
_GROUP_OF = {member: group for group, members in _MEMBERS.items() for member in members}


def groups() -> list[Json]:
    """The groups, in the order of the page."""
    return [{"name": name, "description": about} for name, about in _GROUPS.items()]


def group_of(path: str) -> str:
    """The group of an address."""
    return _GROUP_OF.get(path.removeprefix("/api").removeprefix("/").partition("/")[0], "elements")


_SIGNED: list[Json] = [{"token": []}, {"cookie": []}]
_BYTES: Json = {
    "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
}
_ELEMENT = {"type": "object", "description": "An element: `_id` and any keys."}
_HEADERS: Json = {
    "ETag": {"schema": {"type": "string"}},
    "Last-Modified": {"schema": {"type": "string"}},
    "Accept-Ranges": {"schema": {"type": "string"}},
}
_FORM: Json = {
    "type": "object",
    "required": ["path", "file"],
    "properties": {
        "path": {"type": "string", "description": "Where the file goes; the _id of its element.", "pattern": "^/"},
        "comment": {"type": "string", "description": "What changed; may be missing."},
        "size": {"type": "string", "pattern": "^[0-9]+$", "description": "Its bytes; verified when it is said."},
        "digest": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "Its BLAKE3; verified when it is said.",
        },
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "Its SHA-256; verified when it is said.",
        },
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "The file, any name.",
        },
    },
}


def doors(statuses: Iterable[int]) -> Json:
    """Paths and entries of the doors; all of them may also answer these statuses."""
    failures: Json = {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}
    upload = _upload(failures)
    return {
        "/api/file/{path}": {"get": _file(failures)},
        "/api/upload": {"post": upload, "put": upload | {"operationId": "uploadAgain"}},
        "/api/openapi.json": {"get": _shown("openapi", "This description.", "application/json", {"type": "object"})},
        "/api/docs": {"get": _shown("docs", "This description as a page, to try.", "text/html", {"type": "string"})},
        "/api": {"get": _shown("api", "Where to go from here, as a page.", "text/html", {"type": "string"})},
    }


def _file(failures: Json) -> Json:
    part = {"description": "The part that was asked for.", "headers": _HEADERS, "content": _BYTES}
    return {
        "operationId": "file",
        "summary": "The bytes of a file, or a range of them.",
        "description": "Needs: user. Always to be saved, never shown. There are files when `api.file_root` names a folder.",
        "security": _SIGNED,
        "parameters": [
            {"name": "path", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
            {
                "name": "Range",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "pattern": "^bytes=[0-9]+-$"},
            },
        ],
        "responses": {
            "200": {"description": "The whole file.", "headers": _HEADERS, "content": _BYTES},
            "206": part,
            "304": {"description": "The client has it already."},
            "416": {"description": "The range begins after the end.", "content": {"text/plain": {}}},
            **failures,
        },
    }


def _upload(failures: Json) -> Json:
    return {
        "operationId": "upload",
        "summary": "A file, and the element that tells of it.",
        "description": "Needs: user. The file is streamed, verified and put in place whole; a child keeps the history.",
        "security": _SIGNED,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
        "responses": {
            "201": {"description": "The element.", "content": {"application/json": {"schema": _ELEMENT}}},
            **failures,
        },
    }


def _shown(name: str, summary: str, kind: str, schema: Json) -> Json:
    answer = {"description": "Done.", "content": {kind: {"schema": schema}}}
    refused = {status: {"$ref": f"#/components/responses/{status}"} for status in ("404", "405")}
    return {
        "operationId": name,
        "summary": summary,
        "description": "Needs: anyone.",
        "responses": {"200": answer, **refused},
    }
