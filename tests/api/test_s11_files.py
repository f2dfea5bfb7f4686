"""Section 11 of the wire contract: files out, uploads in, and what somebody hostile would try with them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from tests.api.conftest import Api, Run, running
from tests.small_disk import mounted
from tests.web.wire import Answer, read_answer, until

from everysite.disk.deposit import Deposits
from everysite.web import files as door
from everysite.web.options import Options

pytestmark = pytest.mark.anyio
SECRET = b"not below the root"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a file, a folder, and links that lead out of it; the secret lies beside it."""
    home = tmp_path_factory.mktemp("disk")
    (home / "secret").write_bytes(SECRET)
    root = home / "root"
    (root / "shots").mkdir(parents=True)
    (root / "shots" / "a.exr").write_bytes(bytes(range(200)))
    (root / "empty").touch()
    (root / "a,b %41 ü.txt").write_bytes(b"odd")
    (root / "link").symlink_to(home / "secret")
    (root / "way").symlink_to(home)
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module")
async def api(root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running(tmp_path_factory.mktemp("home"), Options(file_root=str(root))) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left_half(root: Path) -> Iterator[None]:
    yield
    assert not [*root.rglob(".everysite-*")]
    assert (root.parent / "secret").read_bytes() == SECRET


async def get(api: Api, path: str, as_: str = "user", **headers: str) -> Answer:
    return await api.ask("GET", f"/api/file/{path}", None, as_, {k.replace("_", "-"): v for k, v in headers.items()})


def form(*parts: tuple[str, bytes | str], file: bytes | None = b"data", name: str = "file") -> bytes:
    """A multipart body: fields in order, then the file."""
    lines = b""
    for key, value in parts:
        data = value if isinstance(value, bytes) else value.encode()
        lines += b'--X\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (key.encode(), data)
    if file is not None:
        head = b'--X\r\nContent-Disposition: form-data; name="%s"; filename="f.bin"\r\n' % name.encode()
        lines += head + b"Content-Type: image/x\r\n\r\n" + file + b"\r\n"
    return lines + b"--X--\r\n"


MULTIPART = {"Content-Type": "multipart/form-data; boundary=X"}


async def upload(api: Api, body: bytes, as_: str = "user", method: str = "POST", **headers: str) -> Answer:
    return await api.ask(method, "/api/upload", body, as_, MULTIPART | headers)


# --- out ------------------------------------------------------------------------------------------------------------


async def test_s11_a_file_is_its_bytes_and_nothing_a_browser_would_run(api: Api) -> None:
    for path in ("/shots/a.exr", "shots/a.exr", "%2Fshots%2Fa.exr"):
        answer = await get(api, path)
        assert (answer.status, answer.body) == (200, bytes(range(200)))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a.exr"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    odd = await get(api, "/a,b%20%2541%20%C3%BC.txt")
    assert (odd.status, odd.body) == (200, b"odd")
    assert odd.headers["content-disposition"] == "attachment; filename*=UTF-8''a%2Cb%20%2541%20%C3%BC.txt"
    assert (await get(api, "/empty")).body == b""


async def test_s11_head_tells_the_size_and_sends_nothing(api: Api) -> None:
    answer = await api.ask("HEAD", "/api/file/shots/a.exr", None, "user")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "200", b"")


@pytest.mark.parametrize(
    ("range_", "status", "said", "first", "last"),
    [
        ("bytes=0-9", 206, "bytes 0-9/200", 0, 10),
        ("bytes=190-", 206, "bytes 190-199/200", 190, 200),
        ("bytes=-5", 206, "bytes 195-199/200", 195, 200),
        ("bytes=-500", 206, "bytes 0-199/200", 0, 200),
        ("bytes=100-9999999999999999999999999", 206, "bytes 100-199/200", 100, 200),
        ("bytes=0-1,5-6", 200, "", 0, 200),
        ("bytes=9-3", 200, "", 0, 200),
        ("bytes=-", 200, "", 0, 200),
        ("lines=1-2", 200, "", 0, 200),
        ("bytes=x-y", 200, "", 0, 200),
        ("bytes=200-", 416, "bytes */200", 0, 0),
        ("bytes=-0", 416, "bytes */200", 0, 0),
    ],
)
async def test_s11_ranges(api: Api, range_: str, status: int, said: str, first: int, last: int) -> None:
    answer = await get(api, "/shots/a.exr", Range=range_)
    assert (answer.status, answer.headers.get("content-range", "")) == (status, said)
    if status != 416:
        assert answer.body == bytes(range(first, last))


async def test_s11_what_the_client_has_is_not_sent_again(api: Api, root: Path) -> None:
    whole = await get(api, "/shots/a.exr")
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    assert (await get(api, "/shots/a.exr", If_None_Match=f'"x", W/{tag}')).status == 304
    assert (await get(api, "/shots/a.exr", If_None_Match='"x"', If_Modified_Since=date)).status == 200
    assert (await get(api, "/shots/a.exr", If_Modified_Since=date)).status == 304
    assert (await get(api, "/shots/a.exr", If_Modified_Since=formatdate(0, usegmt=True))).status == 200
    assert (await get(api, "/shots/a.exr", If_Modified_Since="yesterday")).status == 200
    assert (await get(api, "/shots/a.exr", Range="bytes=0-1", If_Range=tag)).status == 206
    assert (await get(api, "/shots/a.exr", Range="bytes=0-1", If_Range='"old"')).status == 200
    changed = root / "changes"
    changed.write_bytes(b"1")
    tag = (await get(api, "/changes")).headers["etag"]
    changed.write_bytes(b"22")
    assert (await get(api, "/changes", If_None_Match=tag)).body == b"22"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/../secret",
        "/shots/../../secret",
        "/shots/%2e%2e/%2e%2e/secret",
        "%2e%2e%2fsecret",
        "/./shots/a.exr",
        "//shots/a.exr",
        "/%2Fetc/passwd",
        "/etc/passwd",
        "/shots/a.exr%00.txt",
        "/link",
        "/way/secret",
        "/pipe",
        "/shots",
        "/shots/",
        "/shots/a.exr/",
        "/shots/a.exr/x",
        "/none",
        "/%ff",
        "/" + "x" * 300,
        "/" + "x/" * 3000 + "y",
        "/.everysite-0123456789abcdef.part",
        "/..%5c..%5csecret",
    ],
)
async def test_s11_nothing_outside_the_root_is_read(api: Api, root: Path, path: str) -> None:
    (root / "stays").mkdir(exist_ok=True)
    answer = await get(api, path)
    assert answer.status in (400, 404, 409), answer.text
    assert answer.text.startswith("File error: ")
    assert str(root.parent) not in answer.text


async def test_s11_the_empty_rest_is_400_and_without_a_slash_404(api: Api) -> None:
    assert (await get(api, "")).status == 400
    assert (await api.ask("GET", "/api/file")).status == 404


async def test_s11_files_need_a_sign_in_that_reaches_them(api: Api, run: Run, root: Path) -> None:
    assert (await get(api, "/shots/a.exr", as_="")).status == 401
    assert (await get(api, "/shots/a.exr", as_="guest")).status == 403
    options = Options(file_root=str(root))
    async with run(options, author_mode=True) as strict:
        assert (await get(strict, "/shots/a.exr", as_="admin")).status == 200
        assert (await get(strict, "/shots/a.exr", as_="user")).status == 404
        mine = await upload(strict, form(("path", "/authors/mine")), "user")
        assert mine.status == 201, mine.text
        assert (await get(strict, "/authors/mine", as_="user")).status == 200
        assert (await get(strict, "/authors/mine", as_="editor")).status == 404
        assert (await upload(strict, form(("path", "/authors/mine")), "editor")).status == 409


async def test_s11_without_a_root_there_are_no_files_and_the_way_out_is_said(run: Run) -> None:
    async with run() as bare:
        for answer in (await get(bare, "/a"), await upload(bare, form(("path", "/a")))):
            assert (answer.status, "api.file_root" in answer.text) == (404, True)


async def test_s11_a_root_that_is_gone_is_not_taken_for_an_empty_one(run: Run, tmp_path: Path) -> None:
    async with run(Options(file_root=str(tmp_path / "unmounted"))) as away:
        for answer in (await get(away, "/a"), await upload(away, form(("path", "/a")))):
            assert answer.status == 503
            assert str(tmp_path) not in answer.text
        (tmp_path / "unmounted").mkdir()
        assert (await upload(away, form(("path", "/a")))).status == 201


async def test_s11_without_a_folder_the_way_out_is_named(run: Run) -> None:
    async with run() as none:
        answer = await get(none, "/a")
    assert answer.status == 404
    assert answer.text.splitlines()[1:] == [
        "this tracker has no folder for files; an administrator names one in api.file_root"
    ]


async def test_s11_a_large_file_is_streamed_and_a_client_may_hang_up(api: Api, root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(300 << 20)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"GET /api/file/large HTTP/1.1\r\nHost: x\r\nAuthorization: B {api.tokens['user']}\r\n\r\n".encode())
    assert await reader.readexactly(1 << 20)
    opened = [*Path("/proc/self/fd").iterdir()]
    assert any(fd.exists() and fd.resolve() == (root / "large").resolve() for fd in opened)
    writer.close()
    await until(lambda: not any(fd.resolve() == (root / "large").resolve() for fd in Path("/proc/self/fd").iterdir()))


# --- in -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_s11_an_upload_is_a_file_an_element_and_a_child(api: Api, root: Path, method: str) -> None:
    key = f"/new/{method}/b.bin"
    answer = await upload(api, form(("path", key), ("comment", "first ü"), name="anything"), "user", method)
    assert answer.status == 201, answer.text
    element = answer.json
    assert (root / key[1:]).read_bytes() == b"data"
    mtime = (root / key[1:]).stat().st_mtime_ns // 1_000_000
    said = {"author": "user", "comment": "first ü", "file_mtime": mtime, "file_size": 4, "origin": "online"}
    assert element | said | {"_id": key} == element
    assert abs(element["time"] - mtime) < 60_000
    [child] = await _children(api, key)
    assert child | said | {"#parent": key, "time": element["time"]} == child
    again = await upload(api, form(("comment", "second"), ("path", key), file=b"longer"), "editor", method)
    assert (again.status, again.json["comment"], again.json["file_size"]) == (201, "second", 6)
    assert (again.json["author"], (root / key[1:]).read_bytes()) == ("editor", b"longer")
    assert len(await _children(api, key)) == 2


async def _children(api: Api, key: str) -> list[dict[str, Any]]:
    found = await api.service._core.index.read(lambda tx: tx.elements.children(key))
    return [{"_id": each.key, **each.body} for each in found]


async def test_s11_own_keys_of_the_element_stay(api: Api) -> None:
    await upload(api, form(("path", "/keeps/k")))
    await api.ask("PUT", "/api/update", {"_id": "/keeps/k", "own": [1]})
    assert (await upload(api, form(("path", "/keeps/k")))).json["own"] == [1]


async def test_s11_the_fields_may_come_after_the_file(api: Api, root: Path) -> None:
    body = form(file=b"early").removesuffix(b"--X--\r\n") + form(("path", "/late/one"), file=None)
    assert (await upload(api, body)).status == 201
    assert (root / "late/one").read_bytes() == b"early"


async def test_s11_what_is_said_of_the_bytes_is_verified(api: Api, root: Path) -> None:
    data = os.urandom(3 << 20)
    right = [
        ("size", str(len(data))),
        ("digest", blake3(data).hexdigest()),
        ("sha256", hashlib.sha256(data).hexdigest()),
    ]
    assert (await upload(api, form(("path", "/checked"), *right, file=data))).status == 201
    assert (root / "checked").read_bytes() == data
    for name, value in right:
        for wrong in (value[:-1] + ("1" if value[-1] != "1" else "2"), "ü"):
            answer = await upload(api, form(("path", "/wrong"), (name, wrong), file=data))
            assert answer.status in (400, 422), answer.text
            assert name in answer.text
    assert not (root / "wrong").exists()
    assert (await api.ask("POST", "/api/read", "/wrong")).status == 404


async def test_s11_who_may_not_upload_is_told_before_the_bytes(api: Api) -> None:
    head = "POST /api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: 9999\r\n"
    for token, status in (("", 401), (api.tokens["guest"], 403)):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        shown = f"Authorization: B {token}\r\n" if token else ""
        writer.write((head + shown + "\r\n").encode())  # and not one byte of the body
        assert (await read_answer(reader)).status == status
        writer.close()


async def test_s11_a_lock_keeps_others_from_uploading(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    async with run(Options(file_root=str(tmp_path / "r")), enforce_locks=True) as locking:
        assert (await upload(locking, form(("path", "/l")))).status == 201
        await locking.service._core.index.run(
            lambda tx: tx.elements.put([_locked(tx.elements.get(["/l"])[0], "user")]) and None
        )
        answer = await upload(locking, form(("path", "/l"), file=b"other"), "editor")
        assert (answer.status, "user" in answer.text) == (409, True)
        assert (tmp_path / "r" / "l").read_bytes() == b"data"
        assert (await upload(locking, form(("path", "/l"), file=b"mine"), "user")).status == 201


def _locked(element: Any, name: str) -> Any:
    from msgspec.structs import replace

    return replace(element, body=element.body | {"lock": name})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "relative",
        "../x",
        "/../x",
        "/a/../../x",
        "/a/./x",
        "//x",
        "/",
        "/a/",
        "/x\0.txt",
        "/way/x",
        "/way/deeper/x",
        "/.everysite-0123456789abcdef.part",
        "/shots/a.exr/x",
        "/" + "x" * 300,
        "/shots",
        "C:\\x",
        "@admin",
    ],
)
async def test_s11_nothing_is_written_outside_the_root(api: Api, root: Path, path: str) -> None:
    before = sorted(str(found) for found in root.parent.rglob("*"))
    answer = await upload(api, form(("path", path)), "admin")
    assert answer.status in (400, 409, 422), answer.text
    assert answer.text.startswith("Upload error: ")
    assert str(root.parent) not in answer.text
    assert sorted(str(found) for found in root.parent.rglob("*")) == before


async def test_s11_a_link_in_the_file_s_place_is_replaced_and_never_followed(api: Api, root: Path) -> None:
    (root / "bait").symlink_to(root.parent / "secret")
    assert (await upload(api, form(("path", "/bait"), file=b"new"))).status == 201
    assert not (root / "bait").is_symlink()
    assert (root / "bait").read_bytes() == b"new"


BAD = [
    (b"", 400),
    (b"--Y\r\n", 400),
    (b"--X--\r\n", 400),
    (form(("path", "/bad"))[:-9], 400),
    (form(("path", "/bad"))[: len(form()) // 2], 400),
    (form(("path", "/bad"), file=None), 400),
    (form(), 400),
    (form(("path", "/bad")).removesuffix(b"--X--\r\n") + form(), 400),
    (form(("path", b"/bad\xff")), 400),
    (form(("path", "/bad"), ("comment", "x" * 70_000)), 400),
    (form(*(("k", "v") for _ in range(200)), ("path", "/bad")), 400),
    (b"--X\r\n" + b"A: b\r\n" * 100 + b"\r\n\r\n--X--\r\n", 400),
    (b"--X\r\nA: " + b"b" * 100_000 + b"\r\n\r\n\r\n--X--\r\n", 400),
    (
        b"--X\r\nContent-Disposition: form-data; filename=x\r\nContent-Transfer-Encoding: base64\r\n\r\nAA\r\n--X--\r\n",
        415,
    ),
    (form(("path", "/bad"), ("size", "many")), 400),
    (b"\xff" * 100_000, 400),
]


@pytest.mark.parametrize(("body", "status"), BAD)
async def test_s11_malformed_uploads_are_refused_and_leave_nothing(
    api: Api, root: Path, body: bytes, status: int
) -> None:
    answer = await upload(api, body)
    assert answer.status == status, answer.text
    assert not (root / "bad").exists()
    assert (await api.ask("POST", "/api/read", "/bad")).status == 404


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 500, 400),
        ("multipart/mixed; boundary=X", 415),
        ("application/json", 415),
        ("", 415),
    ],
)
async def test_s11_other_bodies_are_415(api: Api, media: str, status: int) -> None:
    assert (await upload(api, form(("path", "/bad")), **{"Content-Type": media})).status == status


async def _begin_upload(api: Api, path: str, announced: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = (
        f"POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: B {api.tokens['user']}\r\n"
        f"Content-Type: multipart/form-data; boundary=X\r\nContent-Length: {announced}\r\n\r\n"
    )
    writer.write(head.encode() + form(("path", path), file=b"half")[:-9])
    await writer.drain()
    return reader, writer


def _stages(root: Path) -> list[Path]:
    return [*root.rglob(".everysite-*")]


async def test_s11_an_upload_that_breaks_off_leaves_nothing(api: Api, root: Path) -> None:
    _, writer = await _begin_upload(api, "/cut/deep/file", 5000)
    await until(lambda: bool(_stages(root)))
    writer.close()
    await until(lambda: not _stages(root))
    assert not (root / "cut").exists()


async def test_s11_a_sender_that_falls_silent_is_let_go(api: Api, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_SILENCE_S", 0.2)
    reader, writer = await _begin_upload(api, "/slow/file", 5000)
    answer = await read_answer(reader)
    assert (answer.status, "nothing came" in answer.text) == (503, True)
    writer.close()
    assert not (root / "slow").exists()


async def test_s11_too_many_at_once_are_asked_to_come_back(api: Api, root: Path) -> None:
    waiting = [await _begin_upload(api, f"/many/{i}", 5000) for i in range(16)]
    await until(lambda: len(_stages(root)) == 16)
    answer = await upload(api, form(("path", "/many/more")))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert (await upload(api, form(("path", "/many/others")), "editor")).status == 201
    for _, writer in waiting:
        writer.close()
    await until(lambda: not _stages(root))
    assert (await upload(api, form(("path", "/many/more")))).status == 201


async def test_s11_of_two_uploads_to_one_path_one_is_there_whole(api: Api, root: Path) -> None:
    sent = [bytes([i]) * (100_000 + i) for i in range(12)]
    answers = await asyncio.gather(*(upload(api, form(("path", "/raced"), file=data)) for data in sent))
    assert {answer.status for answer in answers} == {201}
    there = (root / "raced").read_bytes()
    assert there in sent
    assert (await api.ask("POST", "/api/read", "/raced")).json["file_size"] == len(there)
    assert len(await _children(api, "/raced")) == len(sent)


async def test_s11_a_full_disk_is_said_and_nothing_half_is_left(run: Run, tmp_path: Path) -> None:
    with mounted(tmp_path / "small") as small:
        (small / "f").write_bytes(b"old")
        async with run(Options(file_root=str(small))) as full:
            announced = await upload(full, form(("path", "/f"), file=b"x" * (6 << 20)))
            assert announced.status == 507, announced.text
            # Announced in chunks, nobody knows before how much will come.
            reader, writer = await asyncio.open_connection("127.0.0.1", full.port)
            head = f"Authorization: B {full.tokens['user']}\r\nContent-Type: multipart/form-data; boundary=X\r\n"
            writer.write(f"POST /api/upload HTTP/1.1\r\nHost: x\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            body = form(("path", "/f"), file=b"x" * (6 << 20))
            for start in range(0, len(body), 65536):
                piece = body[start : start + 65536]
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
            assert (await read_answer(reader)).status == 507
            writer.close()
            await until(lambda: not _stages(small))
            assert (small / "f").read_bytes() == b"old"
            assert (await full.ask("POST", "/api/read", "/f")).status == 404
            assert (await upload(full, form(("path", "/f"), file=b"new"))).status == 201


async def test_s11_another_disk_below_the_root_is_reached(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with mounted(tmp_path / "r" / "disk") as disk:
        async with run(Options(file_root=str(tmp_path / "r"))) as api:
            assert (await upload(api, form(("path", "/disk/new/f"), file=b"x" * 99_999))).status == 201
        assert (disk / "new/f").read_bytes() == b"x" * 99_999
        assert not _stages(tmp_path / "r")


async def test_s11_the_first_uploads_come_together(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    async with run(Options(file_root=str(tmp_path / "r"))) as api:
        sent = [upload(api, form(("path", f"/f{i}"), file=bytes([i]) * 200_000)) for i in range(10)]
        assert {answer.status for answer in await asyncio.gather(*sent)} == {201}


async def test_s11_a_token_for_a_part_takes_and_gives_files_there_only(api: Api) -> None:
    made = await api.ask("POST", "/api/tokens", {"label": "part", "prefix": "/part/"})
    api.tokens["part"] = made.json["token"]
    assert (await upload(api, form(("path", "/part/f")), "part")).status == 201
    assert (await get(api, "/part/f", "part")).status == 200
    assert (await upload(api, form(("path", "/elsewhere")), "part")).status == 403
    assert (await get(api, "/shots/a.exr", "part")).status == 404
    made = await api.ask("POST", "/api/tokens", {"label": "reader", "readOnly": True})
    api.tokens["reader"] = made.json["token"]
    assert (await upload(api, form(("path", "/part/f")), "reader")).status == 403
    assert (await get(api, "/part/f", "reader")).status == 200


async def test_s11_an_open_tracker_takes_files_from_anybody_and_names_their_address(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    async with run(Options(file_root=str(tmp_path / "r")), open_mode=True) as open_:
        answer = await upload(open_, form(("path", "/f")), "")
        assert (answer.status, answer.json["author"]) == (201, "127.0.0.1")
        assert (await get(open_, "/f", "")).body == b"data"


async def test_s11_what_a_killed_tracker_left_is_swept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    async with run(Options(file_root=str(tmp_path / "r"))) as api:
        own = api.service._core.tracker_id.encode()
        Deposits(os.fsencode(tmp_path / "r"), own).open()  # and nobody closes it
        Deposits(os.fsencode(tmp_path / "r"), b"another tracker").open()
        assert len(_stages(tmp_path / "r")) == 2
        assert (await upload(api, form(("path", "/f")))).status == 201
        assert len(_stages(tmp_path / "r")) == 1


async def test_s11_an_upload_is_told_to_those_who_listen(api: Api) -> None:
    told: list[Any] = []
    end = api.service._core.events.listen(told.append)
    await upload(api, form(("path", "/told")))
    await upload(api, form(("path", "/told")))
    end()
    first, second = told
    assert [body["_id"] == "/told" for body in first.created] == [True, False]
    assert [body["_id"] for body in second.updated] == ["/told"]
    assert [body["#parent"] for body in second.created] == ["/told"]
