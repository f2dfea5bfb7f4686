"""Sites and their mappings: adding, configuring live, pausing, removing.

Owns: how an element of class `volume` becomes a site with a mapping, and the agent's hello.
Must not know: tasks beyond planning anew, how an agent works.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import msgspec

from everysite.decide.elements import stamped
from everysite.errors import BadRequest, Conflict, NotFound
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.model.site import Mapping, Site
from everysite.tracker.access import Access
from everysite.tracker.agent_messages import Hello, MySites, Report, Revision, Welcome
from everysite.tracker.audit import note_changes
from everysite.tracker.core import REVISION, Core, bump_revision, read_globals, serves, site_named
from everysite.tracker.messages import JoinToken, Named, Nothing, SiteChange, SiteInfo, Sites
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner
from everysite.tracker.settings import check_url, site_of

HERE = "host"  # fact: the tracker's own machine, as its agents call it
_PAGE = 500  # elements planned anew in one bulk step
_STATUS_KEYS = (
    frozenset(f"{word}_{work}" for word in ("exit", "last", "stderr") for work in ("emission", "reception", "scan"))
    | {
        "agentStatus",
        "agentVersion",
        "agentStartTime",
        "error",
        "scan_duration",
        "bytesTotal",
        "bytesUsed",
        "bytesRemaining",
    }
    | {f"lastConnection{what}" for what in ("Attempt", "StatusChange", "Success")}
)


def is_site(body: Body) -> bool:
    """Whether an element describes a site."""
    return body.get("class") == "volume"


class SiteVerbs:
    """The verbs of sites."""

    def __init__(self, core: Core, access: Access) -> None:
        self._core = core
        self._access = access

    async def sites(self, caller: Caller, asked: Nothing) -> Sites:
        return Sites(await self._core.index.read(lambda tx: [_info(self._core, tx, s) for s in tx.sites.all()]))

    async def site(self, caller: Caller, asked: Named) -> SiteInfo:
        return await self._core.index.read(lambda tx: _info(self._core, tx, site_named(tx, asked.name)))

    async def put_site(self, caller: Caller, asked: SiteChange) -> SiteInfo:
        """Raises BadRequest (a wrong value), Conflict (name taken, folders that overlap), NotFound (not `create`)."""
        core, now = self._core, self._core.clock()
        revision = await core.index.run(lambda tx: _put(tx, caller, asked, now, core.home if core.index.shared else ""))
        self._core.reconfigured(revision)
        await self.plan_all()
        return await self.site(caller, Named(asked.name))

    async def remove_site(self, caller: Caller, asked: Named) -> Nothing:
        now = self._core.clock()
        revision = await self._core.index.run(lambda tx: _remove(tx, caller, asked.name, now))
        self._access.forget()
        self._core.reconfigured(revision)
        return Nothing()

    async def join_token(self, caller: Caller, asked: Named) -> JoinToken:
        site = await self._core.index.read(lambda tx: site_named(tx, asked.name))
        return JoinToken(site.name, await self._access.grants.agent_token(site.name, "join", caller))

    async def plan_all(self) -> None:
        """Plan every file anew, in bulk steps: a site or a global parameter has changed."""
        after: str | None = ""
        while after is not None:

            def step(tx: Transaction, page: str = after) -> tuple[str | None, set[int]]:
                planner = Planner(tx)
                found = tx.elements.under("/", page, _PAGE)
                planner.wish(_with_origin(tx, planner, found))
                return (found[-1].key if len(found) == _PAGE else None), planner.woken

            after, woken = await self._core.index.run(step, "bulk")
            self._core.wakes.wake(woken)

    # --- what agents say of themselves ---

    async def my_sites(self, caller: Caller, asked: Revision) -> MySites:
        """Waits until the configuration is no longer at the asked revision."""
        core = self._core
        if asked.revision == core.revision:
            await core.wakes.wait({REVISION: core.wakes.generation(REVISION)}, asked.wait_ms / 1000)

        def unit(tx: Transaction) -> list[str]:
            sites = [s for s in tx.sites.all() if not core.index.shared or tx.meta(f"home:{s.id}") in (None, core.home)]
            elements = tx.elements.get([s.element for s in sites])
            local = [e.body["name"] for e in elements if e is not None and e.body.get("agent") == "local"]
            return [n for n in local if caller.site in (n, "*") or caller.rank == "admin"]

        revision = core.revision
        return MySites(await core.index.read(unit), revision)

    async def hello(self, caller: Caller, asked: Hello) -> Welcome:
        """Raises NotFound (no such site), Conflict (its folder is another site's)."""
        serves(caller, asked.site)
        core, now = self._core, self._core.clock()
        welcome, changed = await core.index.run(lambda tx: _hello(tx, asked, core.limits.lease_ms, now))
        core.last_call[welcome.site] = now
        if welcome.revision != core.revision:
            core.reconfigured(welcome.revision)
        if changed:
            await self.plan_all()
        return welcome

    async def report(self, caller: Caller, asked: Report) -> Nothing:
        """Status keys only; raises BadRequest for any other key."""
        serves(caller, asked.site)
        wrong = sorted(set(asked.values) - _STATUS_KEYS)
        if wrong:
            raise BadRequest(
                f"{wrong[0]!r} is no status key of a site; an agent reports: {', '.join(sorted(_STATUS_KEYS))}"
            )

        def unit(tx: Transaction) -> None:
            [element] = tx.elements.get([site_named(tx, asked.site).element])
            if element is not None:
                tx.elements.put([msgspec.structs.replace(element, body={**element.body, **asked.values})])

        await self._core.index.run(unit, "bulk")
        return Nothing()


def _with_origin(tx: Transaction, planner: Planner, elements: Sequence[Element]) -> list[Element]:
    """Files of a site that was added only now, or added again, belong to it from now on."""
    adopted = {}
    for element in elements:
        name = element.body.get("origin")
        site = planner.site(name) if element.origin not in planner.sites and isinstance(name, str) else None
        if site is not None:
            adopted[element.key] = msgspec.structs.replace(element, origin=site.id)
    tx.elements.put(list(adopted.values()))
    return [adopted.get(e.key, e) for e in elements]


def store_site(tx: Transaction, element: Element) -> int:
    """Make site and mapping what their element says; answers the new revision. Raises BadRequest, Conflict."""
    site, mappings = site_of(element.key, element.body)
    old = tx.sites.named(site.name)
    if old is not None and old.element != element.key:
        raise Conflict(f"there is a site {old.name!r} already; names are unique without regard to case")
    renamed = next((s for s in tx.sites.all() if s.element == element.key and s.folded != site.folded), None)
    if renamed is not None:
        raise BadRequest(f"a site keeps its name; remove {renamed.name!r} and add {site.name!r} instead")
    site = tx.sites.put(msgspec.structs.replace(site, id=old.id if old else 0))
    if element.body.get("agent") == "local" and (host := tx.meta(HERE)):
        tx.set_meta(f"host:{site.id}", host)
    _put_mappings(tx, site, mappings)
    return bump_revision(tx)


def _put_mappings(tx: Transaction, site: Site, mappings: Sequence[Mapping]) -> None:
    """A mapping is known by its prefix; the site's own, the oldest, may change even that. Those no longer named go."""
    known = {m.prefix: m for m in sorted(tx.sites.mappings(), key=lambda m: m.id) if m.site == site.id}
    own = next(iter(known), "")
    if own and mappings[0].prefix not in known and own not in [m.prefix for m in mappings]:
        known[mappings[0].prefix] = known.pop(own)
    found = [
        msgspec.structs.replace(m, site=site.id, id=known.pop(m.prefix).id if m.prefix in known else 0)
        for m in mappings
    ]
    for gone in known.values():
        tx.sites.remove_mapping(gone.id)
    for mapping in found:
        refuse_shared_folder(tx, site, tx.sites.put_mapping(mapping))


def _put(tx: Transaction, caller: Caller, asked: SiteChange, now: int, home: str) -> int:
    site = tx.sites.named(asked.name)
    if site is not None and asked.create:
        raise Conflict(
            f"there is a site {site.name!r} already; change it with: everysite site set {site.name} KEY=VALUE"
        )
    if site is None and not asked.create:
        site = site_named(tx, asked.name)
    key = site.element if site else f"sites/{asked.name}"
    [element] = tx.elements.get([key])
    if element is not None and site is None:
        raise Conflict(f"the element {key!r} is something else; remove or rename it first")
    body: Body = dict(element.body) if element else _new_site(caller, asked, now)
    for name, value in {
        "url": asked.url,
        "prefix": asked.prefix,
        "direction": asked.direction,
        "paused": asked.paused,
    }.items():
        if value is not None:
            body[name] = value
    if asked.url:
        body |= {"url": check_url(asked.url, asked.name), "agent": "local"}
    for name, value in asked.keys.items():
        if name in ("_id", "name", "class") or name.startswith("$"):
            raise BadRequest(f"site {asked.name}: the key {name!r} cannot be set")
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value
    made = Element(key, body, id=element.id if element else 0)
    [saved] = tx.elements.put([stamped(element, made, tx.stamp(now))])
    note_changes(tx, caller, now, [(element, saved)])
    revision = store_site(tx, saved)
    stored = tx.sites.named(asked.name)
    if asked.url and home and stored is not None:
        tx.set_meta(f"home:{stored.id}", home)  # a folder of the machine the process is on that was asked
    return revision


def _new_site(caller: Caller, asked: SiteChange, now: int) -> Body:
    return {"name": asked.name, "class": "volume", "url": "", "author": caller.username, "time": now}


def _remove(tx: Transaction, caller: Caller, name: str, now: int) -> int:
    site = site_named(tx, name)
    note_changes(tx, caller, now, [(element, None) for element in tx.elements.get([site.element]) if element])
    tx.elements.bury([Tombstone(site.element, tx.stamp(now))])
    return forget_site(tx, site)


def forget_site(tx: Transaction, site: Site) -> int:
    """What a site has besides its element goes: mappings, replicas, work, the tokens of its agent. The new revision."""
    tx.sites.remove(site.id)
    tx.set_meta(f"host:{site.id}", None)
    tx.set_meta(f"home:{site.id}", None)
    tx.access.drop_tokens([token.id for token in tx.access.tokens(None) if token.site == site.name])
    return bump_revision(tx)


def _hello(tx: Transaction, asked: Hello, lease_ms: int, now: int) -> tuple[Welcome, bool]:
    """Also whether the site is another one than before."""
    site = site_named(tx, asked.site)
    [element] = tx.elements.get([site.element])
    if element is None:
        raise NotFound(f"the element {site.element!r} of the site {site.name} is gone; add the site again")
    body = {**element.body, "agentStatus": "on", "agentVersion": asked.version, "agentStartTime": now}
    changed = False
    tx.set_meta(f"host:{site.id}", asked.host)
    if asked.url and body.get("agent") != "local" and body.get("url") != asked.url:
        body |= {"url": check_url(asked.url, site.name), "agent": "joined"}
        changed = True
    [saved] = tx.elements.put([msgspec.structs.replace(element, body=body)])
    if changed:
        store_site(tx, saved)
    mappings = [m for m in tx.sites.mappings() if m.site == site.id]
    for mapping in mappings:
        refuse_shared_folder(tx, site, mapping)
    revision = int(tx.meta(REVISION) or 0)
    return Welcome(site.name, mappings, read_globals(tx), site.paused, revision, lease_ms), changed


def refuse_shared_folder(tx: Transaction, site: Site, mapping: Mapping) -> None:
    """Two mappings on one host must not write into each other's folders: Conflict."""
    here = folder_of(mapping.url)
    if not here:
        return
    sites = {s.id: s for s in tx.sites.all()}
    for other in tx.sites.mappings():
        there = folder_of(other.url)
        if other.id == mapping.id or not there or not _together(tx, site, sites[other.site]):
            continue
        if here.startswith(there) or there.startswith(here):
            raise Conflict(
                f"site {site.name}: {mapping.url} overlaps the folder {other.url} of the site {sites[other.site].name}; "
                "give every site a folder of its own"
            )


def _together(tx: Transaction, one: Site, other: Site) -> bool:
    """Whether two sites' folders are on one machine: their agents see the same host, or both are the tracker's own."""
    if one.id == other.id:
        return True
    host = tx.meta(f"host:{one.id}")
    if host and host == tx.meta(f"host:{other.id}"):
        return True
    elements = tx.elements.get([one.element, other.element])
    return all(e is not None and e.body.get("agent") == "local" for e in elements)


def folder_of(url: str) -> bytes:
    """The folder of a file:// url, ending with '/'; b'' for every other kind."""
    return unquote_to_bytes(url.removeprefix("file://")) if url.startswith("file:///") else b""


def _info(core: Core, tx: Transaction, site: Site) -> SiteInfo:
    [element] = tx.elements.get([site.element])
    body = {"_id": site.element, **(element.body if element else {})}
    seen = core.last_call.get(site.name, 0)
    agent = "on" if core.present(site.name) else ("off" if body.get("agentStartTime") else "never")
    return SiteInfo(site.name, site.paused, agent, seen, [m for m in tx.sites.mappings() if m.site == site.id], body)
