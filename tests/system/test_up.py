"""`everysite up` as a person and as a script meet it."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.cli.processes import PASSWORD, Up, environment

from everysite.client import decode_join


def post(url: str, body: object, token: str = "") -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def sign_in(up: Up, name: str, password: str) -> Any:
    return post(f"{up.url}/api/signIn", {"username": name, "password": password})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_starts_answers_and_ends_cleanly(tmp_path: Path, number: int) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        assert up.url.startswith("http://127.0.0.1:")
        assert sign_in(up, "admin", PASSWORD)["username"] == "admin"
        assert up.stop(number) == 0
    assert not (up.home / "run" / "tracker.json").exists()
    assert PASSWORD not in up.log.read_text()


def test_all_state_is_below_the_home_and_private(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in up.home.rglob("*") if path.is_file()}
        assert modes["tracker.json"] == 0o600
        assert modes["everysite.db"] == 0o600
        assert stat.S_IMODE(up.home.stat().st_mode) == 0o700
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "up.log"}


def test_a_generated_password_is_shown_once_and_works(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        [password] = re.findall(r"password (\S+)", up.log.read_text())
        assert sign_in(up, "admin", password)["username"] == "admin"
        assert up.stop() == 0
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD="another one") as again:
        assert re.findall(r"password (\S+)", again.log.read_text()) == [password]
        with pytest.raises(urllib.error.HTTPError) as refused:  # the variable acts only while there is no admin
            sign_in(again, "admin", "another one")
        with refused.value:
            assert refused.value.code == 401
        assert sign_in(again, "admin", password)["username"] == "admin"


def test_the_first_admin_may_have_another_name(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_USER="root", EVERYSITE_ADMIN_PASSWORD="root") as up:
        assert sign_in(up, "root", "root")["username"] == "root"
        assert up.everysite.json("status")["sites"] == []


def _up(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "everysite", "up", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(folder), timeout=30, check=False)


def test_a_home_has_one_owner(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        second = _up(tmp_path, "--home", str(up.home), "--port", "0")
        assert second.returncode == 4
        assert f"process {up.process.pid} " in second.stderr
        assert second.stderr.count("\n") == 1
        assert up.health()["status"] == "ok"


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _up(tmp_path, "--home", str(tmp_path / "home"), "--port", str(port))
    assert done.returncode == 4
    assert str(port) in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home" / "run" / "tracker.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--port", "x"], 2, "port"),
        (["--port", "70000"], 2, "70000"),
        (["--host", "no such host"], 4, "--host"),
        (["--tls-cert", "/nowhere.pem"], 2, "tls_key"),
        (["--home", "/dev/null/home"], 2, "/dev/null/home"),
        (["--database", "x"], 2, "--database"),
        (["surplus"], 2, "surplus"),
    ],
)
def test_wrong_words_start_nothing(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = _up(tmp_path, "--home", str(tmp_path / "home"), *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "run" / "tracker.json").exists()


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "everysite.toml").write_text("[server]\nprot = 8090\n")
    done = _up(tmp_path, "--home", str(tmp_path / "home"))
    assert done.returncode == 2
    assert "server.port" in done.stderr


def test_ends_although_somebody_waits(tmp_path: Path) -> None:
    """A long poll is under way when SIGTERM comes: it is answered, and the end is clean."""
    with Up(tmp_path) as up:
        token = json.loads((up.home / "run" / "tracker.json").read_bytes())["token"]
        up.everysite("site", "add", "rome")
        outcome: list[object] = []

        def poll() -> None:
            try:
                outcome.append(post(f"{up.url}/api/agent/relay/serve", {"site": "rome", "wait_ms": 30_000}, token))
            except urllib.error.HTTPError as err:
                with err:
                    outcome.append(err.code)
            except (urllib.error.URLError, ConnectionError) as err:
                outcome.append(err)

        waiting = threading.Thread(target=poll)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive(), outcome
        assert up.stop() == 0
        waiting.join(10)
        assert outcome


def test_after_a_kill_the_home_starts_again(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        up.everysite("site", "add", "rome")
        up.process.kill()
        up.process.wait()
        gone = up.everysite("status")
        assert gone.returncode == 3  # the file of the killed one is not believed
        assert "everysite up" in gone.stderr
        up.start()
        assert [site["name"] for site in up.everysite.json("status")["sites"]] == ["rome"]
        labels = [token["label"] for token in up.everysite.json("token", "list")]
        assert len([label for label in labels if label.startswith("command line")]) == 1


def test_the_command_line_survives_a_new_password(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        done = up.everysite("user", "set", "admin", "--password", environ={"EVERYSITE_USER_PASSWORD": "a new one"})
        assert done.returncode == 0, done.stderr
        for _ in range(100):
            if (looked := up.everysite("status")).returncode == 0:
                break
            time.sleep(0.1)
        assert looked.returncode == 0, looked.stderr
        assert sign_in(up, "admin", "a new one")["username"] == "admin"


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], []])
def test_other_addresses_are_encrypted(tmp_path: Path, words: list[str]) -> None:
    """With a certificate of its own, whose fingerprint is in the join token; loopback stays plain."""
    with Up(tmp_path, words=words) as up:
        assert up.url.startswith("https://127.0.0.1:" if words else "http://127.0.0.1:")
        answer = up.everysite.json("site", "add", "rome")
        assert answer["url"].startswith("https://" if words else "http://")
        fingerprint = decode_join(answer["token"]).fingerprint
        assert (fingerprint in up.log.read_text() and len(fingerprint) == 64) == bool(words)
        assert up.everysite.json("status")["sites"][0]["name"] == "rome"


def test_behind_a_proxy_any_address_is_plain(tmp_path: Path) -> None:
    with Up(tmp_path, words=["--host", "0.0.0.0", "--behind-proxy"]) as up:
        assert up.url.startswith("http://127.0.0.1:")


def test_an_open_tracker_starts_on_loopback_only(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_API__OPEN_MODE="true") as up:
        made = post(f"{up.url}/api/create/", {"_id": "by-anybody"})
        assert made["author"] == "127.0.0.1"
        assert up.everysite("status").returncode == 0  # the command line has a token of its own, which counts as ever
    for words in (["--host", "0.0.0.0"], ["--behind-proxy"]):
        refused = up.everysite.process(
            "up", "--home", str(tmp_path / "open"), *words, environ={"EVERYSITE_API__OPEN_MODE": "true"}
        )
        assert refused.returncode == 2
        assert "api.open_mode_anywhere" in refused.stderr
        assert not (tmp_path / "open" / "everysite.db").exists()
