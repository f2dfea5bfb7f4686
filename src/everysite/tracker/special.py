"""Elements that are more than documents: users, sites, the global parameters.

Owns: who may write them, and that every verb of elements does with them what their own verbs do.
Must not know: what a user or a site is in detail (`users`, `sites`, `settings`).
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.errors import BadRequest, Forbidden
from everysite.model.element import Body, Element
from everysite.model.site import check_site_name
from everysite.tracker.audit import note_changes
from everysite.tracker.core import bump_revision
from everysite.tracker.identifiers import generated
from everysite.tracker.settings import GLOBALS_KEY, check_globals, check_url
from everysite.tracker.sites import forget_site, is_site, store_site
from everysite.tracker.users import bare, is_user
from everysite.tracker.writing import Writing

_FOLDER = "file:///"


def acts(element: Element) -> bool:
    """Whether an element is a user, a site or the global parameters."""
    return element.key == GLOBALS_KEY or is_site(element.body) or is_user(element.key, element.body)


def guard(writing: Writing, element: Element) -> None:
    """Raise Forbidden when the caller may not touch this element because of what it is."""
    if not writing.caller.administers and acts(element):
        raise _forbidden(element.key)


def new_id(body: Body) -> str:
    """The identifier of an element an admin makes without one: a user's is their name with '@' before it."""
    return f"@{bare(body['username'])}" if "username" in body else generated()


def prepared(writing: Writing, key: str, before: Element | None, body: Body) -> Body:
    """The body to put under a key. Raises BadRequest, Forbidden for what it may not become."""
    if writing.users is not None:
        body = writing.users.checked(writing.caller, key, before, body, writing.kept.get(key, ""))
    if not writing.caller.administers:
        if key == GLOBALS_KEY or is_site(body):
            raise _forbidden(key)
        return body
    if before is None and "class" not in body and _describes_site(body):
        body = body | {"class": "volume"}
    return _site(before.body if before else {}, body) if is_site(body) else body


def settled(writing: Writing, changes: Sequence[tuple[Element | None, Element]]) -> None:
    """What follows from puts, each with the element as it was. Raises BadRequest, Conflict; nothing is to be stored then."""
    if not writing.caller.administers:
        changes = [(before, after) for before, after in changes if after.is_file]
        if changes:
            note_changes(writing.tx, writing.caller, writing.now, changes)
        return
    for before, after in changes:
        if writing.users is not None:
            kept = writing.kept.get(after.key, "")
            writing.users.stored(writing.tx, writing.caller, before, after, kept, writing.now)
            writing.access_changed |= is_user(after.key, after.body)
        if is_site(after.body):
            writing.revision = store_site(writing.tx, after)
        elif before is not None and is_site(before.body):
            _forget_site(writing, before)
        elif after.key == GLOBALS_KEY:
            check_globals(after.body)
            writing.revision = bump_revision(writing.tx)
    note_changes(writing.tx, writing.caller, writing.now, changes)


def gone(writing: Writing, elements: Sequence[Element]) -> None:
    """What follows from deletes. Raises Forbidden, Conflict (the last admin); nothing is to be deleted then."""
    for element in elements:
        if element.key == GLOBALS_KEY:
            raise BadRequest(f"{GLOBALS_KEY} cannot be deleted; update its keys instead")
        if writing.users is not None:
            writing.users.removed(writing.tx, writing.caller, element, writing.now)
            writing.access_changed |= is_user(element.key, element.body)
        if is_site(element.body):
            _forget_site(writing, element)
    noted = [(element, None) for element in elements if element.is_file or acts(element)]
    if noted:
        note_changes(writing.tx, writing.caller, writing.now, noted)


def _forget_site(writing: Writing, element: Element) -> None:
    for site in writing.tx.sites.all():
        if site.element == element.key:
            writing.revision = forget_site(writing.tx, site)
            writing.access_changed = True


def _describes_site(body: Body) -> bool:
    """Whether an admin's new element is a site though they did not say `class` (decisions B 1): it names a folder."""
    url = body.get("url")
    if not isinstance(url, str) or not url.startswith(_FOLDER):
        return False
    try:
        check_site_name(body.get("name"))
    except BadRequest:
        return False
    return True


def _site(before: Body, body: Body) -> Body:
    """The body of a site; a folder that an admin names is one of the tracker's own machine, unless they say otherwise."""
    url = body.get("url")
    if not url or url == before.get("url"):
        return body if "url" in body else body | {"url": ""}
    site = body | {"url": check_url(url, str(body.get("name")))}
    if body.get("agent") == before.get("agent"):
        site["agent"] = "local"
    return site


def _forbidden(key: str) -> Forbidden:
    return Forbidden(f"{key}: only an admin may change users, sites and global parameters")
