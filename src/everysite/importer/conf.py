"""The conf.json of damas-core as settings of everysite.toml.

Owns: which of its keys mean which setting here, and what to say about the others.
Must not know: how settings are stored, the command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from everysite.errors import BadRequest, Unreadable

Json = dict[str, Any]
_LIFE = re.compile(
    r"(\d+)\s*(ms|s|m|h|d|w|y|msecs?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|years?|yrs?)?"
)
_KEPT = ("dam", "prefer_https", "last_activity")
"""Extensions whose work is a part of every tracker here."""
_WITHOUT: dict[str, str] = {
    "db": "the database is everysite.db in the home; import its dump instead",
    "morgan": "requests are not logged one by one; server.log_level says what is",
    "static_routes": "other files are served by the proxy in front, see docs/deploy/reverse-proxy.md",
    "user_setup": "the first start makes an admin, everysite user add makes others",
    "nodemailer": "set mail.host, mail.sender and mail.url by hand, see docs/settings.md",
    "jwt_delegate": "every tracker here has its own users; import those of the other one too",
    "restricted_keys": "author, time, class, username, password and disable are restricted for all but admins, always",
}
"""What has no counterpart, and the way out."""


class Settings(msgspec.Struct):
    """What a conf.json comes to: settings by "section.key", and one sentence for each key without a counterpart."""

    values: dict[str, Any] = {}
    without: dict[str, str] = {}


def read(file: Path, environ: Mapping[str, str]) -> Settings:
    """The settings a conf.json stands for; ports from HTTP_PORT and HTTPS_PORT, where the old server read them.

    Paths in it are taken relative to its folder. Raises Unreadable, BadRequest.
    """
    try:
        found = msgspec.json.decode(file.read_bytes())
    except OSError as err:
        raise Unreadable(f"{file} cannot be read ({err.strerror}); name the conf.json of the old tracker") from err
    except (msgspec.DecodeError, UnicodeError) as err:
        raise BadRequest(f"{file}: is no JSON: {err}") from err
    if not isinstance(found, dict):
        raise BadRequest(f"{file}: is no object; name the conf.json of the old tracker")
    made = Settings()
    for key, value in found.items():
        _top(made, key, value, file.absolute().parent, found)
    _ports(made, environ)
    _reachable(made)
    return made


def _top(made: Settings, key: str, value: Any, folder: Path, conf: Json) -> None:
    if key == "authorMode":
        _switch(made, "api.author_mode", key, value)
    elif key == "https":
        _https(made, value, folder)
    elif key == "fileSystem":
        _folder(made, value, folder)
    elif key == "extensions" and isinstance(value, dict):
        for name, extension in value.items():
            _extension(made, name, extension if isinstance(extension, dict) else {})
    elif key in ("mongodb6", "mongodb") and isinstance(value, dict) and "create_returns_obj" in value:
        made.values["api.create_returns"] = "objects" if value["create_returns_obj"] else "ids"
    elif key in _WITHOUT or key == conf.get("db"):
        made.without[key] = _WITHOUT.get(key, _WITHOUT["db"])
    else:
        made.without[key] = "nothing of this name is known; see docs/settings.md"


def _switch(made: Settings, setting: str, key: str, value: Any) -> None:
    if isinstance(value, bool):
        made.values[setting] = value
    else:
        made.without[key] = f"it is {value!r:.40} and should be true or false; set {setting}"


def _https(made: Settings, value: Any, folder: Path) -> None:
    if not isinstance(value, dict) or not value.get("enable"):
        return
    files = {key: value.get(key) for key in ("cert", "key")}
    paths = {key: os.path.normpath(folder / name) for key, name in files.items() if isinstance(name, str) and name}
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    made.values["server.host"] = "0.0.0.0"  # noqa: S104  where the old server listened
    if len(paths) == len(files) and not missing:
        made.values |= {"server.tls_cert": paths["cert"], "server.tls_key": paths["key"]}
    else:
        what = f"there is no file {missing[0]}" if missing else "cert and key are not both named"
        made.without["https"] = f"{what}; set server.tls_cert and server.tls_key, or a self-signed one is made"


def _folder(made: Settings, value: Any, folder: Path) -> None:
    if isinstance(value, str) and value:
        made.values["api.file_root"] = os.path.normpath(folder / value)
    elif value:
        made.without["fileSystem"] = "it is no path; set api.file_root"


def _extension(made: Settings, name: str, extension: Json) -> None:
    where, enabled = f"extensions.{name}", extension.get("enable", True) is not False
    conf = extension.get("conf")
    conf = conf if isinstance(conf, dict) else {}
    reader = _EXTENSIONS.get(name)
    if reader is not None:
        reader(made, enabled, conf)
    elif not enabled or name in _KEPT:
        return
    else:
        made.without[where] = _WITHOUT.get(name, "no such extension is known; see docs/settings.md")


def _jwt(made: Settings, enabled: bool, conf: Json) -> None:
    if not enabled:
        return
    for key, value in conf.items():
        if key == "required":
            _switch(made, "access.required", "extensions.jwt.required", value)
        elif key == "exp":
            _life(made, value)
        elif key != "passwordHashAlgorithm":  # both are known by their length
            made.without[f"extensions.jwt.{key}"] = _JWT.get(key, "nothing of this name is known")


_JWT = {
    "secret": "tokens are made anew: people and programs sign in once more",
    "expressUse": "every request is checked",
    "expressUnless": "signIn and health alone need no token; access.required = false lets everybody read",
    "username": "names are any text without spaces, '/', ',' and '@'",
}


def _life(made: Settings, value: Any) -> None:
    """As the old server spelled it: 1d, 2 days, a number of ms."""
    found = _LIFE.fullmatch(str(value).strip().lower())
    if found is None or isinstance(value, bool):
        made.without["extensions.jwt.exp"] = f"it is {value!r:.40}, which is no time; set access.token_life"
        return
    count, unit = int(found[1]), found[2] or "ms"
    short = unit if unit in ("ms", "s", "m", "h", "d", "w") else "ms" if unit.startswith("ms") else unit[0]
    made.values["access.token_life"] = "0" if not count else f"{count * 365}d" if short == "y" else f"{count}{short}"


def _noauth(made: Settings, enabled: bool, conf: Json) -> None:
    if enabled:
        made.values["api.open_mode"] = True


def _ulid(made: Settings, enabled: bool, conf: Json) -> None:
    pattern = conf.get("replacedPattern", "{#}") if enabled else ""
    if isinstance(pattern, str):
        made.values["api.id_pattern"] = pattern
    else:
        made.without["extensions.ulid.replacedPattern"] = "it is no text; set api.id_pattern"


def _upload(made: Settings, enabled: bool, conf: Json) -> None:
    if enabled and "api.file_root" not in made.values and isinstance(conf.get("path"), str):
        made.without["extensions.upload"] = "set api.file_root to the folder of the files"


_EXTENSIONS: dict[str, Callable[[Settings, bool, Json], None]] = {
    "jwt": _jwt,
    "noauth": _noauth,
    "ulid": _ulid,
    "upload": _upload,
}


def _ports(made: Settings, environ: Mapping[str, str]) -> None:
    for variable, setting in (("HTTP_PORT", "server.port"), ("HTTPS_PORT", "server.tls_port")):
        text = environ.get(variable, "")
        if text.isascii() and text.isdigit() and int(text) <= 65535:
            made.values[setting] = int(text)
        elif text:
            made.without[variable] = f"it is {text!r:.40}, which is no port; set {setting}"


def _reachable(made: Settings) -> None:
    """Open mode and plain HTTP are for this machine only, unless somebody says otherwise on purpose."""
    values = made.values
    if values.get("api.open_mode") and values.pop("server.host", ""):
        for key in ("server.tls_cert", "server.tls_key"):
            values.pop(key, None)
        made.without["extensions.noauth"] = (
            "everybody would be admin from anywhere, so only this machine is served; see api.open_mode_anywhere"
        )
    elif "server.host" not in values:
        made.without["listening"] = (
            "the old server listened on every address, this one on 127.0.0.1 until server.host says more, which needs TLS "
            "or server.behind_proxy"
        )
