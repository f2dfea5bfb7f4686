"""How existing clients sign in.

Owns: which bodies are a sign-in; every other one is a failed one. Must not know: accounts, passwords.

An object where a text belongs is how operators of a query language are smuggled into a lookup: it is no name.
"""

from __future__ import annotations

from typing import Any

import msgspec

from everysite.errors import SignInNeeded
from everysite.tracker.messages import SignedIn, SignIn
from everysite.tracker.operation import Operation
from everysite.web import bodies
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.shapes import Written

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_LARGEST = 64 << 10  # bytes; nobody has signed in yet


class SignInForm:
    """A form or a JSON object with `username`, `password` and perhaps `expiresIn`."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._status, self._largest = operation.status, min(_LARGEST, options.max_body)

    async def read(self, asked: Asked) -> tuple[SignIn, bool]:
        """Raises SignInNeeded for what is no name and password, BadRequest for what is no form and no JSON at all."""
        body = await asked.body(self._largest)
        value = bodies.form(body) if bodies.is_form(asked) else bodies.parsed(asked, _decode, body) if body else None
        given = value if isinstance(value, dict) else {}
        name, password, life = given.get("username"), given.get("password"), given.get("expiresIn")
        if not isinstance(name, str) or not isinstance(password, str):
            raise SignInNeeded("wrong user name or password")
        if life is not None and (isinstance(life, bool) or not isinstance(life, str | int | float)):
            raise SignInNeeded("expiresIn is neither a text like 2h nor a number of ms")
        return SignIn(name, password, life), True

    def write(self, answer: SignedIn, single: bool) -> Written:
        return self._status, _encode(answer)
