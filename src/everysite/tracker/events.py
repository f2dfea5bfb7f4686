"""Telling others what a request did, the moment it is durable.

Owns: Events: who listens, and the form in which they are told. Must not know: sockets, what a listener may see.

One call a request, after its unit of work and before its answer (tracker-api 10). Who was away asks the change feed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from everysite.model.element import Body


class Told(msgspec.Struct, frozen=True):
    """Elements as they are now, whole, without nulls; identifiers of those that are gone."""

    created: Sequence[Body] = ()
    updated: Sequence[Body] = ()
    removed: Sequence[str] = ()


Listener = Callable[[Told], None]
"""Must return at once and never raise; what takes time is put into the listener's own queue."""


class Events:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call it for everything from now on; answers a function that ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, created: Sequence[Body] = (), updated: Sequence[Body] = (), removed: Sequence[str] = ()) -> None:
        """To be called when it is durable. Nothing at all is told to nobody."""
        if self._listeners and (created or updated or removed):
            told = Told(created, updated, removed)
            for listener in tuple(self._listeners):
                listener(told)
