"""Where a setting's value comes from, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from everysite.config import check, describe, home_of, load
from everysite.config.load import fields
from everysite.errors import BadRequest


def file(home: Path, text: str) -> Path:
    home.joinpath("everysite.toml").write_text(text)
    return home


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert (settings.server.host, settings.server.port, settings.server.tls_port) == ("127.0.0.1", 8090, 8443)
    assert (settings.api.create_returns, settings.api.max_body) == ("objects", 50 * 1024 * 1024)
    assert settings.database == tmp_path / "everysite.db"
    assert {line.source for line in describe(tmp_path, {})} == {"default"}


def test_the_later_source_wins(tmp_path: Path) -> None:
    file(tmp_path, "[server]\nport = 1\ntls_port = 2\nhost = '::1'\n")
    environ = {"EVERYSITE_SERVER__PORT": "11", "EVERYSITE_SERVER__TLS_PORT": "12"}
    settings = load(tmp_path, environ, {"server.port": 21})
    assert (settings.server.port, settings.server.tls_port, settings.server.host) == (21, 12, "::1")
    sources = {line.key: (line.value, line.source) for line in describe(tmp_path, environ, {"server.port": 21})}
    assert sources["server.port"] == (21, "the command line")
    assert sources["server.tls_port"] == (12, "EVERYSITE_SERVER__TLS_PORT")
    assert sources["server.host"] == ("::1", str(tmp_path / "everysite.toml"))


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("SERVER__PORT", "9", 9),
        ("SERVER__BEHIND_PROXY", "true", True),
        ("SERVER__BEHIND_PROXY", "0", False),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1, 10.1.0.0/16", ("10.0.0.1", "10.1.0.0/16")),
        ("SERVER__TRUSTED_PROXIES", "", ()),
        ("SERVER__BASE_PATH", "/a/b", "/a/b"),
        ("AGENT__PROBE_SECONDS", "0.5,2", (0.5, 2.0)),
        ("AGENT__LEASE_SECONDS", "3", 3.0),
        ("API__CREATE_RETURNS", "ids", "ids"),
    ],
)
def test_the_environment_spells_values_as_text(tmp_path: Path, variable: str, text: str, value: object) -> None:
    section, name = variable.lower().split("__")
    settings = load(tmp_path, {f"EVERYSITE_{variable}": text})
    assert getattr(getattr(settings, section), name) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "there is no setting server.prot; did you mean server.port?"),
        ("[sever]\nport = 1", "there is no setting sever.port; did you mean server.port?"),
        ("[agent]\nport = 1", "did you mean server.port?"),
        ("[sever]", "did you mean server?"),
        ("[zzz]\nqqq = 1", "the sections are server, api, access, mail, agent, index"),
        ("port = 1", "port stands outside a section"),
        ("[server]\nport = '8090'", "server.port is '8090'; Expected `int`, got `str`"),
        ("[server]\nport = 70000", "server.port is 70000"),
        ("[server]\nbehind_proxy = 1", "Expected `bool`"),
        ("[server]\nbase_path = 'sync/'", "server.base_path"),
        ("[access]\ntoken_life = 'a while'", "access.token_life"),
        ("[api]\ncreate_returns = 'id'", "api.create_returns"),
        ("[server]\ntls_cert = 'a.pem'", "belong together"),
        ("[server]\ntls_cert = 'a.pem'\ntls_key = 'b.pem'", "there is no file"),
        ("[server]\ntrusted_proxies = ['everyone']", "'everyone' is no address or network"),
        ("[server\n", "is not TOML"),
        (
            "[api]\nopen_mode = true\n[server]\nhost = '0.0.0.0'",
            "server.host is 0.0.0.0, where everybody would be admin",
        ),
        ("[api]\nopen_mode = true\n[server]\nhost = 'tracker.studio'", "api.open_mode_anywhere"),
        ("[api]\nopen_mode = true\n[server]\nbehind_proxy = true", "with a proxy in front"),
        ("[api]\nopen_mode = true\n[server]\ntrusted_proxies = ['10.0.0.1']", "with a proxy in front"),
        ("[mail]\nhost = 'mail.studio'", "mail.sender is empty"),
        ("[mail]\nhost = 'm'\nsender = 'a@b'\nurl = 'http://t'\nuser = 'u'", "belong together"),
        ("[mail]\nhost = 'm'\nsender = 'a@b'\nurl = 'http://t'\nuser = 'u'\npassword_file = 'x'", "there is no file"),
        ("[access]\nsign_in_per_minute = -1", "access.sign_in_per_minute"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file(tmp_path, text)
    with pytest.raises(BadRequest) as refused:
        load(tmp_path, {})
    assert said in str(refused.value)
    assert check(tmp_path, {}) == str(refused.value).split("\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_open_mode_is_for_loopback_unless_it_is_forced(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, {}, {"api.open_mode": True, "server.host": host}).api.open_mode
    forced = {"api.open_mode": True, "api.open_mode_anywhere": True, "server.host": "0.0.0.0"}
    assert load(tmp_path, {}, forced).api.open_mode


def test_every_problem_names_its_source(tmp_path: Path) -> None:
    file(tmp_path, "[server]\nprot = 1\nport = 'x'\n")
    problems = check(tmp_path, {"EVERYSITE_API__MAX_BATCH": "many"}, {"agent.worker": "3"})
    path = str(tmp_path / "everysite.toml")
    assert [problem.split(": ")[0] for problem in problems] == [
        path,
        path,
        "EVERYSITE_API__MAX_BATCH",
        "the command line",
    ]
    assert "did you mean agent.workers?" in problems[3]


def test_a_file_that_is_not_utf8_or_not_readable_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath("everysite.toml").write_bytes(b"[server]\nhost = '\xff'\n")
    assert "is not TOML" in check(tmp_path, {})[0]
    tmp_path.joinpath("everysite.toml").unlink()
    tmp_path.joinpath("everysite.toml").mkdir()
    assert "cannot be read" in check(tmp_path, {})[0]


def test_variables_of_other_use_are_left_alone(tmp_path: Path) -> None:
    assert not check(tmp_path, {"EVERYSITE_HOME": "/x", "EVERYSITE_ADMIN_PASSWORD": "root", "PATH__X": "1"})


def test_the_home_folder(tmp_path: Path) -> None:
    environ = {"EVERYSITE_HOME": str(tmp_path / "e"), "XDG_DATA_HOME": str(tmp_path / "x")}
    assert home_of(str(tmp_path / "o"), environ) == tmp_path / "o"
    assert home_of(None, environ) == tmp_path / "e"
    environ.pop("EVERYSITE_HOME")
    assert home_of(None, environ) == tmp_path / "x" / "everysite"
    assert home_of(None, {}) == Path.home() / ".local/share/everysite"
    assert home_of("some", {}).is_absolute()


def test_every_setting_says_what_it_does(tmp_path: Path) -> None:
    lines = describe(tmp_path, {})
    assert [line.key for line in lines] == list(fields())
    assert all(line.doc.endswith(".") and line.type for line in lines)
    assert next(line.type for line in lines if line.key == "agent.probe_seconds") == "list of number"
    assert next(line.type for line in lines if line.key == "api.create_returns") == "ids | objects"
