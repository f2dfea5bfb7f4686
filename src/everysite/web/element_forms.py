"""How upsert, comment and version are asked and answered over HTTP.

Owns: the forms in which existing clients know these three (tracker-api 2, 3, 7).
Must not know: routes, sign-in, how an operation is carried out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from everysite.errors import BadRequest
from everysite.tracker.messages import Items, NewVersion, Upserted
from everysite.tracker.operation import Operation
from everysite.web import bodies
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.shapes import ItemsForm, Written

_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


class UpsertForm(ItemsForm):
    """One object or an array, which may be empty. Created elements come first; one alone is answered alone."""

    least = 0

    def write(self, answer: Any, single: bool) -> Written:
        assert isinstance(answer, Upserted)
        values = [*answer.created, *answer.updated]
        return self.operation.status, _encode(values[0] if len(values) == 1 else values)


class CommentForm(ItemsForm):
    """One object or an array. A comment on one parent, named by a text, is answered alone, unless clients want an array."""

    async def read(self, asked: Asked) -> tuple[Items, bool]:
        items, single = await super().read(asked)
        alone = single and self.options.comment_returns == "seed"
        return items, alone and not isinstance((items.items[0] or {}).get("#parent"), list)


class VersionForm:
    """The element in the path, its new keys as the body."""

    def __init__(self, operation: Operation[Any, Any], options: Options) -> None:
        self._operation, self._options = operation, options

    async def read(self, asked: Asked) -> tuple[NewVersion, bool]:
        body = await asked.body(self._options.max_body)
        value = bodies.form(body) if bodies.is_form(asked) else bodies.parsed(asked, _decode_any, body)
        if not isinstance(value, dict):
            raise BadRequest("send a JSON object with the keys of the new version")
        return NewVersion(asked.params["id"], value), True

    def write(self, answer: Any, single: bool) -> Written:
        return self._operation.status, _encode(answer)
