"""From where a setting's value is taken, and what is wrong with it.

Owns: the order file, environment, command line (later wins), and the messages about unknown and ill-typed keys.
Must not know: what any setting does, or how the file is written.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from everysite.config import database_url
from everysite.config.keys import SECTIONS, Settings
from everysite.errors import BadRequest

FILE = "everysite.toml"
PREFIX = "EVERYSITE_"

Environ = Mapping[str, str]
Overrides = Mapping[str, Any]
"""From the command line: "section.key" -> value, as text or of the right type already."""


class Key(msgspec.Struct, frozen=True):
    """One line of `everysite config show`. `key` is "section.key", `source` says where `value` comes from."""

    key: str
    type: str
    default: Any
    value: Any
    doc: str
    source: str


class _Value(msgspec.Struct, frozen=True):
    """A value somebody gave. `text`: it is the spelling of a value, not the value (environment, command line)."""

    key: str
    raw: Any
    source: str
    text: bool


def home_of(option: str | None, environ: Environ) -> Path:
    """The folder all state lives in: --home, else EVERYSITE_HOME, else everysite in the user's data folder."""
    if chosen := option or environ.get("EVERYSITE_HOME"):
        return Path(chosen).expanduser().absolute()
    data = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "everysite"


def load(home: Path, environ: Environ, overrides: Overrides | None = None) -> Settings:
    """The settings, or BadRequest with one line for each thing that is wrong."""
    values, _, problems = _gather(home, environ, overrides or {})
    settings = _settings(home, values)
    if problems := problems or _contradictions(settings):
        raise BadRequest("\n".join(problems))
    return settings


def check(home: Path, environ: Environ, overrides: Overrides | None = None) -> list[str]:
    """What load() would refuse; empty when nothing."""
    values, _, problems = _gather(home, environ, overrides or {})
    return problems + _contradictions(_settings(home, values))


def describe(home: Path, environ: Environ, overrides: Overrides | None = None) -> list[Key]:
    """Every key with its meaning, its value and the source of the value. What is wrong is left to check()."""
    values, sources, _ = _gather(home, environ, overrides or {})
    return [
        Key(
            key,
            type_name(field.type),
            field.default,
            _shown(key, values.get(key, field.default)),
            _doc(field),
            sources.get(key, "default"),
        )
        for key, field in fields().items()
    ]


def _shown(key: str, value: Any) -> Any:
    return database_url.shown(value) if key == "index.url" and value else value


def fields() -> dict[str, msgspec.inspect.Field]:
    """Every setting by its "section.key"."""
    found: dict[str, msgspec.inspect.Field] = {}
    for section, kind in SECTIONS.items():
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        found.update({f"{section}.{field.name}": field for field in info.fields})
    return found


def convert(key: str, raw: Any, text: bool) -> Any:
    """The value of a known key. Raises msgspec.ValidationError, which names the choices there are. Lists are spelled with
    commas."""
    section, _, name = key.partition(".")
    wanted = next(field.type for field in msgspec.structs.fields(SECTIONS[section]) if field.name == name)
    if text and isinstance(raw, str) and _is_list(fields()[key].type):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    try:
        return msgspec.convert(raw, wanted, strict=not text)
    except msgspec.ValidationError as err:
        kind = fields()[key].type
        kind = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
        if not isinstance(kind, msgspec.inspect.LiteralType):
            raise
        raise msgspec.ValidationError(f"it is one of {', '.join(map(str, kind.values))}") from err


def unknown(key: str) -> str:
    """Says that there is no such key, and which one may be meant."""
    known = list(fields())
    section, dot, name = key.partition(".")
    # The right name below the wrong section is as common a slip as a misspelling.
    near = [each for each in known if dot and each.endswith(f".{name}")]
    near = near or (difflib.get_close_matches(key, known, 1, 0.6) if dot else [])
    near = near or difflib.get_close_matches(section, list(SECTIONS), 1, 0.6)
    meant = f"did you mean {near[0]}?" if near else f"the sections are {', '.join(SECTIONS)}"
    return f"there is no setting {key}; {meant}"


def _gather(home: Path, environ: Environ, overrides: Overrides) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Values and sources by key, the last one given wins; and the problems of all that was given."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    known = fields()
    for given in _given(home, environ, overrides, problems):
        if given.key not in known:
            problems.append(f"{given.source}: {unknown(given.key)}")
            continue
        try:
            values[given.key] = convert(given.key, given.raw, given.text)
            sources[given.key] = given.source
        except msgspec.ValidationError as err:
            problems.append(f"{given.source}: {given.key} is {given.raw!r}; {err}")
    return values, sources, problems


def _given(home: Path, environ: Environ, overrides: Overrides, problems: list[str]) -> Iterator[_Value]:
    yield from _from_file(home / FILE, problems)
    for variable in sorted(environ):
        section, middle, name = variable.removeprefix(PREFIX).partition("__")
        if variable.startswith(PREFIX) and middle:
            yield _Value(f"{section}.{name}".lower(), environ[variable], variable, True)
    for key, value in overrides.items():
        yield _Value(key, value, "the command line", isinstance(value, str))


def _from_file(path: Path, problems: list[str]) -> Iterator[_Value]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except OSError as err:
        problems.append(f"{path}: cannot be read ({err.strerror}); give this account the right to it")
        return
    except ValueError as err:  # not UTF-8, or not TOML
        problems.append(f"{path}: is not TOML: {err}")
        return
    for section, table in document.items():
        if not isinstance(table, dict):
            problems.append(f"{path}: {section} stands outside a section; the sections are {', '.join(SECTIONS)}")
            continue
        if section not in SECTIONS and not table:
            problems.append(f"{path}: {unknown(section)}")
        yield from (_Value(f"{section}.{key}", value, str(path), False) for key, value in table.items())


def _settings(home: Path, values: Mapping[str, Any]) -> Settings:
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        inside = f"{section}."
        sections[section] = kind(**{key.removeprefix(inside): values[key] for key in values if key.startswith(inside)})
    return Settings(home, **sections)


def _contradictions(settings: Settings) -> list[str]:
    """What is right for each key by itself and cannot be meant together."""
    server = settings.server
    problems = []
    if bool(server.tls_cert) != bool(server.tls_key):
        problems.append("server.tls_cert and server.tls_key belong together; set both, or none for a self-signed one")
    for key in ("tls_cert", "tls_key"):
        file = getattr(server, key)
        if file and not (settings.home / file).is_file():
            problems.append(f"server.{key}: there is no file {settings.home / file}")
    problems += _open_problems(settings) + _mail_problems(settings)
    if settings.index.url and (trouble := database_url.problem(settings.index.url)):
        problems.append(f"index.url (--database) is {database_url.shown(settings.index.url)!r}; {trouble}")
    for proxy in server.trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            problems.append(f"server.trusted_proxies: {proxy!r} is no address or network, like 10.0.0.5 or 10.0.0.0/8")
    return problems


def _open_problems(settings: Settings) -> list[str]:
    server, api = settings.server, settings.api
    if not api.open_mode or api.open_mode_anywhere:
        return []
    way_out = "switch api.open_mode off, or set api.open_mode_anywhere if whoever reaches it may do everything"
    if server.behind_proxy or server.trusted_proxies:
        return [f"api.open_mode: with a proxy in front everybody would be admin from anywhere; {way_out}"]
    if not _is_loopback(server.host):
        return [f"api.open_mode: server.host is {server.host}, where everybody would be admin; {way_out}"]
    return []


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mail_problems(settings: Settings) -> list[str]:
    mail = settings.mail
    if not mail.host:
        return []
    problems = [f"mail.{key} is empty; mail.host needs it" for key in ("sender", "url") if not getattr(mail, key)]
    file = settings.home / mail.password_file
    if bool(mail.user) != bool(mail.password_file):
        problems.append("mail.user and mail.password_file belong together; set both, or none")
    elif mail.user and not file.is_file():
        problems.append(f"mail.password_file: there is no file {file}")
    return problems


def type_name(kind: msgspec.inspect.Type) -> str:
    """How a person calls a type: text, whole number, number, yes/no, list of ..., or the words to choose from."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return type_name(kind.type)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return f"list of {type_name(kind.item_type)}"
    if isinstance(kind, msgspec.inspect.LiteralType):
        return " | ".join(str(value) for value in kind.values)
    names = {
        msgspec.inspect.StrType: "text",
        msgspec.inspect.IntType: "whole number",
        msgspec.inspect.FloatType: "number",
        msgspec.inspect.BoolType: "true | false",
    }
    return names[type(kind)]


def _is_list(kind: msgspec.inspect.Type) -> bool:
    kind = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
    return isinstance(kind, msgspec.inspect.VarTupleType)


def _doc(field: msgspec.inspect.Field) -> str:
    kind = field.type
    while isinstance(kind, msgspec.inspect.Metadata):
        if kind.extra_json_schema and "description" in kind.extra_json_schema:
            return str(kind.extra_json_schema["description"])
        kind = kind.type
    return ""
