"""The pages a browser finds before there is a dashboard: the entrance, sign-in and sign-out.

Owns: `/`, `/signIn`, `/signOut`, and the cookie they set.
Must not know: how signing in works, single operations beside it.
"""

from __future__ import annotations

import time
from html import escape

from starlette.types import Send

import everysite
from everysite.errors import EverysiteError, Forbidden, SignInNeeded
from everysite.tracker.contract import SIGN_IN, SIGN_OUT
from everysite.tracker.messages import Nothing, SignIn
from everysite.web.bodies import form
from everysite.web.endpoint import Service
from everysite.web.errors_http import status_of
from everysite.web.identity import caller_of, foreign
from everysite.web.options import Options
from everysite.web.page import Headers, Page, show
from everysite.web.request import Asked
from everysite.web.routing import Route

_LONGEST = 10_000  # bytes of a name and a password


class Entrance:
    """The handlers."""

    def __init__(self, service: Service, options: Options) -> None:
        self._service = service
        self._base = options.base_path.rstrip("/")

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", self.front, "front"),
            Route("GET", "/signIn", self.ask, "signIn"),
            Route("POST", "/signIn", self.sign_in, "signIn"),
            Route("POST", "/signOut", self.sign_out, "signOut"),
        )

    async def front(self, asked: Asked, send: Send) -> None:
        """What there is, and who one is."""
        caller = await caller_of(asked, self._service, "anyone")
        base = escape(self._base)
        if caller.username:
            who = (
                f'<form method="post" action="{base}/signOut">Signed in as <b>{escape(caller.username)}</b> '
                f"({escape(caller.rank)}) <button>Sign out</button></form>"
            )
        else:
            who = f'<p><a class="button" href="{base}/signIn">Sign in</a></p>'
        links = "".join(
            f'<li><a href="{base}{path}">{path}</a> {what}</li>'
            for path, what in (
                ("/api/docs", "every operation, to read and to try"),
                ("/api/openapi.json", "the same for programs (OpenAPI 3.1)"),
                ("/api/health", "whether requests are served"),
            )
        )
        body = (
            f"<main class=narrow><h1>everysite</h1><p>A tracker, version {everysite.__version__}. "
            f"It keeps files and records the same at every site.</p>{who}<ul>{links}</ul></main>"
        )
        await show(send, Page("everysite", body))

    async def ask(self, asked: Asked, send: Send) -> None:
        """The sign-in form."""
        await show(send, self._form("", 200))

    async def sign_in(self, asked: Asked, send: Send) -> None:
        """Sign in by the form; the token goes into a cookie no script can read."""
        if foreign(asked):
            raise Forbidden("this request was made by a page of another site")
        given = form(await asked.body(_LONGEST))
        name, password = given.get("username"), given.get("password")
        caller = await caller_of(asked, self._service, "anyone")
        try:
            if not isinstance(name, str) or not isinstance(password, str):
                raise SignInNeeded("name and password are needed")
            signed = await self._service.as_caller(caller).call(SIGN_IN, SignIn(name, password))
        except EverysiteError as err:
            await show(send, self._form(str(err), status_of(err)))
            return
        life = max(signed.token_exp - int(time.time()), 0) if signed.token_exp else None
        await _away(send, self._base + "/", self._cookie(asked, signed.token, life))

    async def sign_out(self, asked: Asked, send: Send) -> None:
        """Revoke the token and forget it."""
        try:
            caller = await caller_of(asked, self._service, "guest")
            await self._service.as_caller(caller).call(SIGN_OUT, Nothing())
        except SignInNeeded:
            pass  # signed out already
        await _away(send, self._base + "/", self._cookie(asked, "", 0))

    def _cookie(self, asked: Asked, token: str, life: int | None) -> tuple[bytes, bytes]:
        words = [f"token={token}", f"Path={self._base or '/'}", "HttpOnly", "SameSite=Lax"]
        words += ["Secure"] if asked.scheme == "https" else []
        words += [f"Max-Age={life}"] if life is not None else []
        return (b"set-cookie", "; ".join(words).encode("latin-1"))

    def _form(self, problem: str, status: int) -> Page:
        said = f'<p class=bad role="alert">{escape(problem)}</p>' if problem else ""
        body = (
            f'<main class=narrow><h1>Sign in</h1>{said}<form method="post" action="{escape(self._base)}/signIn">'
            '<label>Name or e-mail<input name="username" autocomplete="username" required autofocus></label>'
            '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
            "<button>Sign in</button></form></main>"
        )
        return Page("Sign in - everysite", body, status=status)


async def _away(send: Send, to: str, cookie: tuple[bytes, bytes]) -> None:
    headers: Headers = [(b"location", to.encode()), cookie]
    await show(send, Page("everysite", f'<p><a href="{escape(to)}">Go on</a></p>', status=303, headers=headers))
