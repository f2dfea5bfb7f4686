"""Faces: the families of paths that clients of different ancestors know.

Owns: Face, the face of the tracker's own clients (`/api`), and the proof that no two faces claim the same request.
Must not know: single operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from everysite.errors import BadRequest
from everysite.tracker.contract import CHANGES, OPERATIONS
from everysite.tracker.operation import Operation
from everysite.tracker.relay import Broker
from everysite.web.attention import Attention
from everysite.web.backup import Backup
from everysite.web.downloads import Downloads
from everysite.web.endpoint import Service, endpoint
from everysite.web.entrance import Entrance
from everysite.web.errors_http import Failure, Headers, form, verb
from everysite.web.explorer import Explorer
from everysite.web.feed import FeedDoors
from everysite.web.files import Files
from everysite.web.options import Options
from everysite.web.relay import Relay
from everysite.web.request import Asked
from everysite.web.routing import Route
from everysite.web.socket_io import PATH, SocketIo
from everysite.web.socket_tracker import TellsChanges


@dataclass(frozen=True, slots=True)
class Face:
    """What one family of clients finds. `sign_in` says how they show who they are, `refuse` how they are told no."""

    name: str
    prefix: str
    sign_in: str
    routes: tuple[Route, ...]
    refuse: Callable[[Failure, Asked, str], tuple[Headers, bytes]]


def api(service: Service, broker: Broker, options: Options, attention: Attention) -> Face:
    """The tracker's own face: all operations, the relay, and their description."""
    routes: list[Route] = [*FeedDoors(service, options, attention).routes()]
    for operation in OPERATIONS:
        if operation is CHANGES:
            continue
        handler = endpoint(operation, service, options, attention)
        routes += [Route(method, path, handler, operation.name) for method, path in addresses(operation)]
    routes += [
        *Relay(service, broker, options, attention).routes(),
        *Files(service, options, attention).routes(),
        *Backup(service, attention).routes(),
        *Explorer(options).routes(),
    ]
    return Face("api", "/api", "token", tuple(routes), _refuse)


def socketio(service: TellsChanges, options: Options, attention: Attention) -> Face:
    """Where existing clients hear of changes."""
    return Face("socketio", PATH, "token", SocketIo(service, options, attention).routes(), _refuse)


def entrance(service: Service, options: Options) -> Face:
    """The few pages outside every other face."""
    return Face("pages", "", "cookie", Entrance(service, options).routes(), _refuse)


def downloads(options: Options) -> Face:
    """Clients for other people's programs; nobody has to sign in for them."""
    return Face("clients", "", "none", Downloads(options).routes(), _refuse)


def addresses(operation: Operation[Any, Any]) -> list[tuple[str, str]]:
    """Methods and templates under which an operation is found: its own, and those of existing clients."""
    if operation.shape == "query":
        path = operation.path.removesuffix("/{query}")
        return [("GET", path + "/{*query}"), ("POST", path)]
    if operation.shape == "version":
        return [(operation.method, operation.path.replace("{id}", "{*id}"))]
    if operation.shape in ("ids", "graph") and operation.method == "POST":
        return [("POST", operation.path), ("GET", operation.path + "/{*ids}")]
    return [(operation.method, operation.path)]


def _refuse(failed: Failure, asked: Asked, what: str) -> tuple[Headers, bytes]:
    path = asked.path.decode("latin-1")
    as_json = asked.wants_json or path.startswith("/api/agent/")
    return form(failed, verb(what, path, failed.status), as_json)


def enabled(faces: Iterable[Face], off: frozenset[str]) -> list[Face]:
    """The faces that are served. Raises BadRequest for an unknown name, or when two claim the same request."""
    known = list(faces)
    unknown = off - {face.name for face in known}
    if unknown:
        raise BadRequest(f"there is no face {min(unknown)!r}; the faces are {', '.join(face.name for face in known)}")
    served = [face for face in known if face.name not in off]
    if clashes := overlaps(served):
        raise BadRequest(f"two faces claim {clashes[0]}; switch one of them off")
    return served


def overlaps(faces: Sequence[Face]) -> list[str]:
    """Requests that two faces claim."""
    return [
        f"{one.method} {one.template} ({ours.name}) = {two.template} ({theirs.name})"
        for ours, theirs in combinations(faces, 2)
        for one in ours.routes
        for two in theirs.routes
        if one.overlaps(two)
    ]
