"""Sites, mappings, holdings and leases, on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from everysite.errors import Conflict, StaleLease
from everysite.index.contract import Index, Transaction
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Policy, Site
from everysite.model.task import Holding, Wish

pytestmark = pytest.mark.anyio


async def test_sites_are_found_without_regard_to_case(index: Index) -> None:
    paris = await index.run(lambda t: t.sites.put(Site("Paris", "s1")))
    oslo = await index.run(lambda t: t.sites.put(Site("oslo", "s2", True)))
    assert await index.read(lambda t: t.sites.named("pARIS")) == paris
    assert await index.read(lambda t: t.sites.named("rome")) is None
    assert await index.read(lambda t: t.sites.all()) == [paris, oslo]
    assert oslo.paused


async def test_a_site_name_is_taken_whatever_its_case(index: Index) -> None:
    paris = await index.run(lambda t: t.sites.put(Site("Paris", "s1")))
    with pytest.raises(Conflict, match="PARIS"):
        await index.run(lambda t: t.sites.put(Site("PARIS", "s2")))
    renamed = await index.run(lambda t: t.sites.put(Site("PARIS", "s2", True, paris.id)))
    assert await index.read(lambda t: t.sites.all()) == [renamed]


async def test_mappings_come_back_as_put(index: Index) -> None:
    policy = Policy(enable_discovery=False, exclude_pattern_rules=("*.tmp", "ä"), sleep_between_scans=1.5)
    made = await index.run(lambda t: t.sites.put_mapping(Mapping(1, "file:///x/", "/p/", "receive", policy)))
    other = await index.run(lambda t: t.sites.put_mapping(Mapping(1, "file:///y/")))
    assert await index.read(lambda t: t.sites.mappings()) == [made, other]
    assert (made.policy, made.id == other.id) == (policy, False)
    changed = await index.run(lambda t: t.sites.put_mapping(Mapping(1, "s3://b/", id=made.id)))
    await index.run(lambda t: t.sites.remove_mapping(other.id))
    assert await index.read(lambda t: t.sites.mappings()) == [changed]


async def test_removing_a_site_takes_all_that_hangs_on_it(index: Index) -> None:
    def fill(t: Transaction) -> tuple[int, int, int]:
        site, other = t.sites.put(Site("a", "s1")).id, t.sites.put(Site("b", "s2")).id
        mapping, rest = t.sites.put_mapping(Mapping(site, "u")).id, t.sites.put_mapping(Mapping(other, "v")).id
        t.replicas.put([Replica(1, site), Replica(1, other)])
        for number in (mapping, rest):
            t.tasks.wish([Wish(number, "/a", "present", 1)])
            t.leases.open(number, 1, 50, 1)
            t.sites.hold(Holding(number, "me", 1, 50))
        return site, mapping, rest

    site, mapping, rest = await index.run(fill)
    await index.run(lambda t: t.sites.remove(site))

    def look(t: Transaction) -> None:
        assert [s.name for s in t.sites.all()] == ["b"]
        assert [m.id for m in t.sites.mappings()] == [rest]
        assert [task.mapping for task in t.tasks.of_element(1)] == [rest]
        assert [lease.mapping for lease in t.leases.expired(99)] == [rest]
        assert t.sites.holding(mapping) is None
        assert t.sites.holding(rest) == Holding(rest, "me", 1, 50)
        assert [r.site == site for r in t.replicas.of([1])[1]] == [False]

    await index.read(look)


async def test_many_who_want_to_hold_a_mapping_get_an_epoch_each_and_one_stays(index: Index) -> None:
    def take(name: str) -> Callable[[Transaction], Holding]:
        def unit(t: Transaction) -> Holding:
            now = t.sites.holding(7)
            if now and now.holder != name and now.epoch >= 20:
                raise StaleLease(f"{now.holder} holds it")
            mine = Holding(7, name, (now.epoch if now else 0) + 1, 100)
            t.sites.hold(mine)
            return mine

        return unit

    units = [take(f"agent-{n}") for n in range(50)]
    got = await asyncio.gather(*(index.run(unit) for unit in units), return_exceptions=True)
    held = [h for h in got if isinstance(h, Holding)]
    assert sorted(h.epoch for h in held) == list(range(1, 21))
    assert await index.read(lambda t: t.sites.holding(7)) == max(held, key=lambda h: h.epoch)
    assert sum(isinstance(h, StaleLease) for h in got) == 30


async def test_leases_open_renew_expire_and_close(index: Index) -> None:
    one = await index.run(lambda t: t.leases.open(1, 5, 100, 7))
    two = await index.run(lambda t: t.leases.open(1, 5, 50, 8))
    three = await index.run(lambda t: t.leases.open(2, 6, 60, 9))
    assert (one.mapping, one.epoch, one.until, one.since) == (1, 5, 100, 7)
    assert await index.read(lambda t: t.leases.get(one.id)) == one
    assert await index.read(lambda t: t.leases.of_mapping(1)) == [one, two]
    assert await index.read(lambda t: t.leases.expired(60)) == [two, three]
    assert await index.read(lambda t: t.leases.expired(49)) == []
    assert await index.run(lambda t: t.leases.renew([three.id, 999, one.id], 200)) == [three.id, one.id]
    assert [lease.until for lease in await index.read(lambda t: t.leases.of_mapping(2))] == [200]
    await index.run(lambda t: t.leases.close([two.id, three.id, 999]))
    assert await index.read(lambda t: t.leases.get(two.id)) is None
    assert await index.run(lambda t: t.leases.renew([two.id], 300)) == []
    again = await index.run(lambda t: t.leases.open(1, 5, 100, 7))
    assert again.id > three.id
