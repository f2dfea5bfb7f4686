"""Which door a request goes to: routes on raw paths.

Owns: Route, the matching of methods and raw paths, 404 and 405.
Must not know: what a route does.

Exact paths are one dict lookup, with and without a trailing slash; nothing is redirected. `{name}` stands for one
piece of the path, `{*name}` for all that is left, with every slash in it. Pieces are decoded after matching, once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.types import Send

from everysite.errors import BadRequest, NotFound
from everysite.web.errors_http import WrongMethod
from everysite.web.request import Asked, segment

Handler = Callable[[Asked, Send], Awaitable[None]]
_PARAMETER = re.compile(r"\{(\*?)(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a template of paths. `what` names it in errors; `lone`: with other methods there is nothing (404)."""

    method: str
    template: str
    handler: Handler
    what: str = ""
    lone: bool = False

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """What raw paths match the template."""
        parts = _PARAMETER.split(self.template)
        text = re.escape(parts[0])
        for star, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            text += (f"(?P<{name}>.*)" if star else f"(?P<{name}>[^/]+)") + re.escape(literal)
        return re.compile((text if text.endswith(".*)") else text + "/?").encode(), re.DOTALL)

    @property
    def exact(self) -> bool:
        """Whether it stands for one path only."""
        return "{" not in self.template

    def overlaps(self, other: Route) -> bool:
        """Whether one request could match both."""
        return self.method == other.method and _meet(_pieces(self.template), _pieces(other.template))


def _pieces(template: str) -> list[str]:
    return ["**" if piece.startswith("{*") else "*" if "{" in piece else piece for piece in template.split("/")]


def _meet(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    for one, two in zip(ours, theirs, strict=False):
        if "**" in (one, two):
            return True
        if "*" not in (one, two) and one != two:
            return False
    return len(ours) == len(theirs)


class Router:
    """The routes of all faces."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: dict[tuple[str, bytes], Route] = {}
        for route in routes:
            if route.exact:
                path = route.template.encode()
                self._exact[route.method, path] = self._exact[route.method, path + b"/"] = route
        self._patterns = [(route, route.pattern) for route in routes if not route.exact]
        self._starting: dict[bytes, list[tuple[Route, re.Pattern[bytes]]]] = {}
        for route, pattern in self._patterns:
            literal = route.template.partition("{")[0].encode()
            self._starting.setdefault(_start(literal), []).append((route, pattern))

    def find(self, asked: Asked) -> Route | None:
        """The route of a request, its pieces of the path put into `asked.params`; None when no route has this path.

        Raises WrongMethod when the path has other methods, BadRequest for a path whose last piece is missing.
        """
        found = self._exact.get((asked.method, asked.path))
        if found is not None:
            asked.what = found.what
            return found
        for route, pattern in self._candidates(asked.path):
            if route.method == asked.method and (match := pattern.fullmatch(asked.path)):
                asked.what = route.what
                asked.params = {name: segment(raw, name) for name, raw in match.groupdict().items()}
                if "" in asked.params.values():
                    raise BadRequest("")
                return route
        self._other(asked)
        return None

    def _candidates(self, path: bytes) -> list[tuple[Route, re.Pattern[bytes]]]:
        """Routes with pieces that may have this path: a hot one like /api/read/{*ids} waits for no others."""
        return self._starting.get(_start(path), []) + self._starting.get(b"", [])

    def _other(self, asked: Asked) -> None:
        for route, pattern in self._patterns:
            if asked.method == "GET" and _open(route, pattern, asked.path):
                asked.what = route.what
                raise NotFound("")  # existing clients expect it for GET /api/read
        allowed = self.allowed(asked.path)
        lone = self._exact.get(("GET", asked.path))
        if allowed and not (lone and lone.lone):
            asked_for = f"{asked.method:.20} is not offered here"
            raise WrongMethod(f"{asked_for}; the method has to be {' or '.join(allowed)}", allowed)

    def allowed(self, path: bytes) -> tuple[str, ...]:
        """The methods a path has, sorted; none when no route has it."""
        found = {method for method, exact in self._exact if exact == path}
        found |= {route.method for route, pattern in self._patterns if pattern.fullmatch(path)}
        return tuple(sorted(found | {"HEAD"} if "GET" in found else found))


def _start(path: bytes) -> bytes:
    """The first two pieces of a path (/api/read of /api/read/x), b'' when it has fewer that are whole."""
    second = path.find(b"/", path.find(b"/", 1) + 1)
    return path[:second] if second > 1 and path.count(b"/", 0, second) == 2 else b""


def _open(route: Route, pattern: re.Pattern[bytes], path: bytes) -> bool:
    """Whether a path is one whose rest is missing, with the slash before it."""
    return route.method == "GET" and "/{*" in route.template and pattern.fullmatch(path + b"/") is not None
