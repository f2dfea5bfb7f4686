"""Which form each operation is asked in.

Owns: the table from an operation's shape to its form. Must not know: what a form reads.
"""

from __future__ import annotations

from typing import Any

from everysite.tracker.operation import Operation, Shape
from everysite.web.element_forms import CommentForm, UpsertForm, VersionForm
from everysite.web.options import Options
from everysite.web.shapes import Form, GraphForm, IdsForm, ItemsForm, ListForm, Plain, QueryForm
from everysite.web.sign_in_form import SignInForm

_FORMS: dict[Shape, type[Form]] = {
    "plain": Plain,
    "items": ItemsForm,
    "ids": IdsForm,
    "query": QueryForm,
    "graph": GraphForm,
    "list": ListForm,
    "upsert": UpsertForm,
    "comment": CommentForm,
    "version": VersionForm,
    "signIn": SignInForm,
}


def form_of(operation: Operation[Any, Any], options: Options) -> Form:
    """The form in which existing clients ask this operation; the plain one for all newer operations."""
    return _FORMS[operation.shape](operation, options)  # type: ignore[call-arg]
