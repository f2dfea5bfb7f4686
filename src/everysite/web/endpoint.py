"""One operation as a door: the handler made from its row in the table.

Owns: the order of things: who asks, what is asked, the call, the answer.
Must not know: single operations, paths, how errors are told.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from starlette.types import Send

from everysite.errors import BadRequest, Conflict, NotFound
from everysite.tracker.messages import Ids, Items
from everysite.tracker.operation import Caller, Operation, Tracker
from everysite.tracker.search_messages import GraphAsked
from everysite.web.answer import JSON, Headers, answer
from everysite.web.attention import Attention
from everysite.web.bodies import PROGRAMS
from everysite.web.forms import form_of
from everysite.web.identity import Authenticator, caller_of
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.routing import Handler
from everysite.web.shapes import Plain

_MAX_WAIT_MS = 300_000  # longer polls die in proxies anyway
_SHOWN = 3
_PROGRAMS_JSON: Headers = [(b"content-type", PROGRAMS)]


class Service(Authenticator, Protocol):
    """The tracker, as its doors know it."""

    def admit(self, caller: Caller, operation: Operation[Any, Any]) -> None:
        """Raise what a call would raise for the caller's class alone."""

    def as_caller(self, caller: Caller) -> Tracker:
        """The tracker for one caller; every call checks the caller's rights."""


def endpoint(operation: Operation[Any, Any], service: Service, options: Options, attention: Attention) -> Handler:
    """The handler of an operation, with its decoder and encoder built once.

    It raises what the operation raises; the application tells it to the client.
    """
    form, plain = form_of(operation, options), Plain(operation, options)
    waits = any(field.name == "wait_ms" for field in msgspec.structs.fields(operation.request))
    right = operation.right

    async def handle(asked: Asked, send: Send) -> None:
        caller = await caller_of(asked, service, right)
        service.admit(caller, operation)  # before the body: what is wrong with it is nobody's business but theirs
        programs = asked.media_type == PROGRAMS
        chosen = plain if programs else form
        request, single = await chosen.read(asked)
        waiting = waits and _wait(request)
        call = service.as_caller(caller).call(operation, request)
        result = await (attention.during(call, asked.receive) if waiting else call)
        try:
            status, body, *more = chosen.write(result, single)
        except (NotFound, Conflict) as err:
            raise type(err)(f"{_named(request)}: {err}") from err
        kind = _PROGRAMS_JSON if programs else JSON
        await answer(send, status, body, [*kind, *more[0]] if more else kind)

    return handle


def _named(request: Any) -> str:
    """What a request was about: the first few identifiers."""
    keys = request.ids if isinstance(request, Ids | GraphAsked) else []
    if isinstance(request, Items):
        found = [(item or {}).get("#parent") or (item or {}).get("_id") for item in request.items]
        keys = [key for each in found for key in (each if isinstance(each, list) else [each])]
    shown = ", ".join(f"{key!s:.200}" for key in keys[:_SHOWN])
    return f"{shown} and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else shown


def _wait(request: Any) -> bool:
    if request.wait_ms > _MAX_WAIT_MS:
        raise BadRequest(f"wait_ms is {request.wait_ms}; ask again every {_MAX_WAIT_MS} ms at least")
    return bool(request.wait_ms > 0)
