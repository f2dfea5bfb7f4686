"""Section 12 of the wire contract: what elements say about sites, and the questions about it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api

from everysite.tracker.core import wall_clock

pytestmark = pytest.mark.anyio
SITES = ("Paris_1", "rome", "oslo-2")
GLOBALS = "rsyncGlobalParameters"


@pytest.fixture(scope="module", autouse=True)
async def sites(api: Api) -> None:
    for name in SITES:
        assert (await api.ask("PUT", f"/api/sites/{name}", {"create": True})).status == 200


async def publish(api: Api, path: str, **keys: Any) -> dict[str, Any]:
    item = {"_id": path, "comment": "", "origin": "Paris_1", "file_size": 1, "file_mtime": 1, **keys}
    answer = await api.ask("POST", "/api/publish/", item)
    assert answer.status == 201, answer.text
    element: dict[str, Any] = answer.json[0]
    return element


async def update(api: Api, key: str, **keys: Any) -> dict[str, Any]:
    answer = await api.ask("PUT", "/api/update/", {"_id": key, **keys})
    assert answer.status == 200, answer.text
    element: dict[str, Any] = answer.json
    return element


async def search(api: Api, query: str) -> Any:
    answer = await api.ask("GET", "/api/search/" + query.replace(" ", "%20"))
    assert answer.status == 200, answer.text
    return answer.json


async def listed(api: Api, state: str, site: str) -> set[str]:
    """All pages of a question's route; the search word has to find the same."""
    keys: list[str] = []
    after = ""
    while True:
        page = await api.ask("GET", f"/api/sites/{site}/{state}?limit=2&after={after}")
        assert page.status == 200, page.text
        keys += page.json["ids"]
        after = page.json["next"]
        if not after:
            break
    assert keys == sorted(set(keys))
    assert set(keys) == set(await search(api, f"{state}@{site}"))
    return set(keys)


# --- file state --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("synced_rome", 1_700_000_000_001),
        ("syncing_rome", 1_700_000_000_002),
        ("syncError_rome", 23),
        ("syncLastAttempt_rome", 1_700_000_000_003),
        ("modified_rome", 1_700_000_000_004),
        ("synced_Paris_1", 1_700_000_000_005),
        ("synced_oslo-2", 1_700_000_000_006),
    ],
)
async def test_s12_state_keys_are_read_found_and_removed_as_they_were_written(api: Api, key: str, value: int) -> None:
    path = f"/s12/state/{key}"
    await publish(api, path)
    assert (await update(api, path, **{key: value}))[key] == value
    assert (await api.ask("GET", f"/api/read/{path}")).json[key] == value
    assert await search(api, f"{key}:{value}") == [path]
    assert await search(api, f"{key}>{value - 1} {key}<{value + 1}") == [path]
    found = await api.ask("POST", "/api/search_mongo", {"query": {key: {"$gte": value}, "_id": path}})
    assert found.json == {"count": 1, "ids": [path]}
    sorted_by = await api.ask("POST", "/api/search_mongo", {"query": {key: {"$exists": True}}, "sort": {key: -1}})
    assert path in sorted_by.json["ids"]
    assert key not in await update(api, path, **{key: None})
    assert await search(api, f"{key}:{value}") == []


async def test_s12_state_of_an_unknown_site_is_an_ordinary_key(api: Api) -> None:
    await publish(api, "/s12/unknown")
    assert (await update(api, "/s12/unknown", synced_mars="a text"))["synced_mars"] == "a text"
    assert await search(api, "synced_mars:/text/") == ["/s12/unknown"]


async def test_s12_state_that_is_no_number_is_refused(api: Api) -> None:
    await publish(api, "/s12/wrong")
    wrong: list[Any] = ["x", -1, True, [], {}]
    for value in wrong:
        assert (await api.ask("PUT", "/api/update/", {"_id": "/s12/wrong", "synced_rome": value})).status == 400, value


async def test_s12_writing_state_moves_neither_author_nor_time(api: Api) -> None:
    before = await publish(api, "/s12/still")
    after = await update(api, "/s12/still", synced_rome=wall_clock() + 5_000)
    assert (after["time"], after["author"]) == (before["time"], before["author"])


# --- freshness ---------------------------------------------------------------------------------------------------


async def test_s12_a_copy_is_missing_current_outdated_or_failed(api: Api) -> None:
    path = "/s12/fresh"
    element = await publish(api, path, sync_rome=True)
    assert path in await listed(api, "missing", "rome")
    await update(api, path, synced_rome=element["time"])
    assert path in await listed(api, "current", "rome")
    assert path not in await listed(api, "missing", "rome")
    await update(api, path, syncError_rome=23, syncLastAttempt_rome=element["time"] + 1)
    assert path in await listed(api, "error", "rome")
    await update(api, path, syncError_rome=None, syncLastAttempt_rome=None)
    assert path not in await listed(api, "error", "rome")


async def test_s12_the_last_copy_is_known(api: Api) -> None:
    path = "/s12/last"
    element = await publish(api, path)
    await update(api, path, synced_Paris_1=element["time"])
    assert path in await listed(api, "only", "Paris_1")
    await update(api, path, synced_rome=element["time"])
    assert path not in await listed(api, "only", "Paris_1")
    assert path not in await listed(api, "only", "rome")


async def test_s12_questions_about_an_unknown_site(api: Api) -> None:
    answer = await api.ask("GET", "/api/sites/mars/missing")
    assert (answer.status, "rome" in answer.text) == (404, True)
    for path in ("/api/search/missing@mars", "/api/search_one/* error@mars", "/api/search/a:1 only@mars"):
        typo = await api.ask("GET", path.replace(" ", "%20"))
        assert (typo.status, "known sites" in typo.text) == (400, True)  # "nothing is missing" would be a lie
    assert (await api.ask("GET", "/api/search/missing@ROME")).json == await search(api, "missing@rome")
    assert (await api.ask("GET", "/api/sites/rome/nonsense")).status == 400
    assert (await api.ask("GET", "/api/sites/rome/missing", as_="")).status == 401
    assert (await api.ask("GET", "/api/sites/rome/missing?limit=x")).status == 400


async def test_s12_changed_since_a_moment(api: Api) -> None:
    first = await publish(api, "/s12/changed/1")
    now = first["time"] + 10_000
    await update(api, "/s12/changed/1", time=now)
    page = (await api.ask("GET", f"/api/changed?since={now - 1}")).json
    assert page == {"ids": ["/s12/changed/1"], "next": ""}
    assert await search(api, f"changed@{now - 1}") == ["/s12/changed/1"]
    assert (await api.ask("GET", f"/api/changed?since={now}")).json["ids"] == []
    assert (await api.ask("GET", "/api/changed")).status == 400


# --- destinations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "everywhere", "wanted"),
    [
        ({"sync_rome": True, "syncEverywhere": False}, False, {"rome"}),
        ({"sync_rome": False, "syncEverywhere": True}, True, {"oslo-2"}),
        ({"sync_rome": "false", "syncEverywhere": "true"}, False, {"oslo-2"}),
        ({"syncEverywhere": True}, False, {"rome", "oslo-2"}),
        ({"syncEverywhere": False}, True, set()),
        ({}, True, {"rome", "oslo-2"}),
        ({}, False, set()),
        ({"sync_Paris_1": True}, False, set()),
        ({"sync_Paris_1": True, "origin": "rome"}, False, {"Paris_1"}),
        ({"sync_paris_1": True, "origin": "rome"}, False, set()),  # keys have the name verbatim
        ({"sync_oslo-2": False, "origin": "rome"}, True, {"Paris_1"}),
        ({"origin": "ROME"}, True, {"Paris_1", "oslo-2"}),
    ],
)
async def test_s12_a_file_goes_where_its_keys_send_it(
    api: Api, keys: dict[str, Any], everywhere: bool, wanted: set[str]
) -> None:
    path = f"/s12/to/{everywhere}{sorted(keys.items())}".replace(" ", "").replace("'", "")
    assert (await update(api, GLOBALS, syncEverywhere=everywhere))["syncEverywhere"] is everywhere
    try:
        await publish(api, path, **keys)
        assert {site for site in SITES if path in await listed(api, "missing", site)} == wanted
    finally:
        await update(api, GLOBALS, syncEverywhere=True)


# --- global parameters and volumes -------------------------------------------------------------------------------


async def test_s12_global_parameters_exist_and_are_typed(api: Api) -> None:
    element = (await api.ask("GET", f"/api/read/{GLOBALS}")).json
    kinds = {key: type(value) for key, value in element.items()}
    texts = ("excludePatternRules", "excludedFiles", "includePatternRules", "rsaPublicKey")
    assert all(kinds[key] is str for key in texts)
    assert all(kinds[key] is bool for key in ("enableScans", "ignoreExistingFiles", "syncEverywhere"))
    assert element["sleepBetweenScans"] == 60
    assert kinds["time"] is int


async def test_s12_only_an_admin_edits_global_parameters(api: Api) -> None:
    body = {"_id": GLOBALS, "sleepBetweenScans": 61}
    assert (await api.ask("PUT", "/api/update/", body, as_="editor")).status == 403
    assert (await api.ask("PUT", "/api/update/", body)).status == 200
    assert (await api.ask("PUT", "/api/update/", {"_id": GLOBALS, "sleepBetweenScans": "often"})).status == 400
    assert (await update(api, GLOBALS, sleepBetweenScans=60))["sleepBetweenScans"] == 60


async def test_s12_a_volume_is_an_element_with_its_keys(api: Api) -> None:
    site = (await api.ask("GET", "/api/sites/rome")).json
    key = site["element"]["_id"]
    options = {
        "enableDiscovery": True,
        "enableDiscoveryPackages": False,
        "enableDiscoveryUpdatedFiles": True,
        "enableDiscoveryDeletedFiles": True,
        "enableEmission": True,
        "enableReception": True,
        "rsync_args": "-z",
        "rsync_env": "TZ=UTC",
        "syncAmountEmission": 10,
        "syncAmountReception": 20,
        "notifiedEmails": "a@b.c, d@e.f",
        "longName": "Roma",
        "geoloc": "41.9,12.5",
    }
    changed = await update(api, key, **options)
    assert {name: changed[name] for name in options} == options
    assert changed["name"] == "rome"
    assert {"author", "time", "url"} <= set(changed)
    assert await search(api, "class:volume name:rome") == [key]
    assert (await api.ask("PUT", "/api/update/", {"_id": key, "enableReception": False}, as_="editor")).status == 403


async def test_s12_a_volume_that_is_off_still_lacks_what_it_lacks(api: Api) -> None:
    key = (await api.ask("GET", "/api/sites/oslo-2")).json["element"]["_id"]
    await update(api, key, enableReception=False)
    await publish(api, "/s12/off")
    assert "/s12/off" in await listed(api, "missing", "oslo-2")
    await update(api, key, enableReception=True)


# --- listup, listdown --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def queue(api: Api, sites: None) -> list[str]:
    """Files on their way from oslo-2 to rome, in the order in which they go."""
    order = [("text", "7"), ("high", 5), ("older", 0), ("newer", None), ("low", -3)]
    start = wall_clock()
    for at, (name, priority) in enumerate(reversed(order)):
        path = f"/s12/queue/{name}"
        keys = {} if priority is None else {"sync_priority": priority}
        await publish(api, path, origin="oslo-2", syncEverywhere=False, sync_rome=True, **keys)
        await update(api, path, **{"synced_oslo-2": start + 60_000, "time": start + at})
    await update(api, "/s12/queue/older", time=start - 100)
    return [f"/s12/queue/{name}" for name, _ in order]


async def test_s12_listup_and_listdown_answer_what_goes_next(api: Api, queue: list[str]) -> None:
    for verb in ("listup", "listdown"):
        answer = await api.ask("GET", f"/api/{verb}/oslo-2/rome/10")
        assert answer.status == 200, answer.text
        assert [item["_id"] for item in answer.json] == queue
        assert [item["_id"] for item in (await api.ask("GET", f"/api/{verb}/oslo-2/rome/2/")).json] == queue[:2]
        back = (await api.ask("GET", f"/api/{verb}/rome/oslo-2/100")).json
        assert not {item["_id"] for item in back} & set(queue)


async def test_s12_what_is_on_its_way_is_not_listed(api: Api, queue: list[str]) -> None:
    await update(api, queue[0], syncing_rome=wall_clock())
    listed = (await api.ask("GET", "/api/listup/oslo-2/rome/10")).json
    assert [item["_id"] for item in listed] == queue[1:]
    await update(api, queue[0], syncing_rome=None)


async def test_s12_what_leads_out_of_a_folder_is_never_listed(api: Api, queue: list[str]) -> None:
    odd = [f"/s12/queue/{name}" for name in ("../../../etc/passwd", "..", "./x", "/x")]
    wanted = {"origin": "oslo-2", "time": 1, "synced_oslo-2": wall_clock(), "sync_rome": True, "sync_priority": 99}
    await api.create(*[{"_id": key, **wanted} for key in odd])
    for verb in ("listup", "listdown"):
        listed = (await api.ask("GET", f"/api/{verb}/oslo-2/rome/2")).json
        assert [item["_id"] for item in listed] == queue[:2]


async def test_s12_a_list_of_nothing_real_is_refused(api: Api) -> None:
    for path, status in (("oslo-2/rome/0", 400), ("oslo-2/rome/x", 400), ("oslo-2/rome/-1", 400), ("mars/rome/1", 404)):
        assert (await api.ask("GET", f"/api/listup/{path}")).status == status, path
    assert (await api.ask("GET", "/api/listup/oslo-2/rome/1", as_="")).status == 401


async def test_s12_a_site_made_as_an_element_may_give_its_folder_as_a_path(api: Api) -> None:
    [made] = await api.create({"_id": "sit/lyon", "class": "volume", "name": "lyon", "url": "/data/a%20 b/"})
    assert (made["url"], made["agent"]) == ("file:///data/a%2520%20b/", "local")
    for url in ("data/lyon", "/data/../lyon", "http://lyon/"):
        answer = await api.ask("PUT", "/api/update/", {"_id": "sit/lyon", "url": url})
        assert answer.status == 400, (url, answer.text)
    assert (await api.ask("DELETE", "/api/delete/", "sit/lyon")).status == 200
