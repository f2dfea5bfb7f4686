"""Every setting: its section, type, default and the one line that says what it does.

Owns: Settings and its sections. The descriptions are what `everysite config show` prints.
Must not know: where a value came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from everysite.config.database_url import shown

Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
Life = Annotated[str, Meta(pattern=r"^(0|[0-9]+(ms|s|m|h|d|w)?)$")]
BasePath = Annotated[str, Meta(pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tracker listens and whom it believes."""

    host: Annotated[str, Meta(description="Address to listen on; other than loopback it needs TLS or a proxy.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="Port for plain HTTP on loopback; 0 takes a free one.")] = 8090
    tls_port: Annotated[Port, Meta(description="Port for HTTPS on every other address; 0 takes a free one.")] = 8443
    tls_cert: Annotated[str, Meta(description="PEM file of the certificate; empty: self-signed at first start.")] = ""
    tls_key: Annotated[str, Meta(description="PEM file of the certificate's key.")] = ""
    behind_proxy: Annotated[bool, Meta(description="A proxy in front does TLS: plain HTTP on any address.")] = False
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks whose X-Forwarded-* headers count.")
    ] = ()
    base_path: Annotated[BasePath, Meta(description="Path everything is served below, like /sync; empty: none.")] = ""
    peer_url: Annotated[
        str, Meta(description="Where other processes on this database reach this one; empty: on this machine only.")
    ] = ""
    faces_off: Annotated[
        tuple[str, ...], Meta(description="Faces that are not served: api, socketio, pages or clients.")
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe message that is logged.")
    ] = "info"


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the faces answer, where clients of different ages expect different things."""

    create_returns: Annotated[
        Literal["objects", "ids"], Meta(description="What create answers: whole elements, or identifiers only.")
    ] = "objects"
    comment_returns: Annotated[
        Literal["seed", "array"],
        Meta(description="What comment answers: an object for one parent, or always an array."),
    ] = "seed"
    id_pattern: Annotated[
        str, Meta(description="Text in a new element's _id that a ULID takes the place of; empty: none.")
    ] = "{#}"
    enforce_locks: Annotated[bool, Meta(description="A lock keeps other users from changing the element (409).")] = (
        False
    )
    author_mode: Annotated[
        bool, Meta(description="All but admins see only what they are an author of; class user may change that.")
    ] = False
    open_mode: Annotated[
        bool, Meta(description="Nobody signs in and everybody is admin; on loopback and without a proxy only.")
    ] = False
    open_mode_anywhere: Annotated[
        bool, Meta(description="Open mode on any address: whoever reaches it may do everything.")
    ] = False
    requests_per_minute: Annotated[
        int, Meta(ge=0, description="Requests an address has a minute, agents' too; more is answered 429; 0: no limit.")
    ] = 0
    lone_words: Annotated[
        Literal["contains", "ignored"],
        Meta(description="What a word without a key in a search does: look in identifiers, or nothing."),
    ] = "contains"
    search_seconds: Annotated[
        Seconds, Meta(description="How long a search or graph may take before it is ended and answered 400.")
    ] = 10.0
    max_graph: Annotated[Count, Meta(description="Elements and links one graph answers; beyond, it is cut off.")] = (
        20_000
    )
    max_batch: Annotated[Count, Meta(description="Elements one request may name; more is answered 413.")] = 10_000
    origins: Annotated[
        tuple[str, ...], Meta(description="Other sites, like https://tools.example, whose pages may ask with a token.")
    ] = ()
    file_root: Annotated[
        str, Meta(description="Folder of the files behind /api/file and /api/upload, below the home; empty: none.")
    ] = ""
    max_body: Annotated[Count, Meta(description="Bytes a request's body may have; more is answered 413.")] = 52_428_800


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sign-in."""

    required: Annotated[
        bool, Meta(description="Everything needs a sign-in; false: who shows no token is a guest, who reads.")
    ] = True
    token_life: Annotated[
        Life, Meta(description="How long a token is good: 30m, 2h, 7d, a number of ms; 0: always.")
    ] = "1d"
    sign_in_per_minute: Annotated[
        int, Meta(ge=0, description="Failed sign-ins an account has a minute, and an address three times; 0: no limit.")
    ] = 20


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where mail is handed over, for lost passwords; without a host none is sent."""

    host: Annotated[
        str, Meta(description="Mail server (SMTP); empty: no mail, and nobody gets a new password by it.")
    ] = ""
    port: Annotated[Port, Meta(description="Its port; usually 587 with starttls, 465 with tls.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], Meta(description="How the line to it is encrypted; none: not at all.")
    ] = "starttls"
    user: Annotated[str, Meta(description="Name to sign in with there; empty: without.")] = ""
    password_file: Annotated[str, Meta(description="File with the password for it, below the home folder.")] = ""
    sender: Annotated[str, Meta(description="Address the mail comes from, like everysite@studio.example.")] = ""
    url: Annotated[str, Meta(description="The tracker's address as people know it, for the way back.")] = ""


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an agent works."""

    workers: Annotated[Count, Meta(description="Bundles an agent moves at the same time.")] = 2
    bundle_files: Annotated[Count, Meta(description="Most files that travel and become durable together.")] = 1000
    bundle_bytes: Annotated[Count, Meta(description="Most bytes that travel and become durable together.")] = 67_108_864
    lease_seconds: Annotated[Seconds, Meta(description="How long claimed work stays claimed without a renewal.")] = 30.0
    probe_seconds: Annotated[
        tuple[Seconds, ...],
        Meta(min_length=1, description="Waits between probes of a lost site; the last one repeats."),
    ] = (1.0, 2.0, 5.0, 10.0, 30.0)
    scan_processes: Annotated[int, Meta(ge=1, le=16, description="Processes that walk one large tree in a scan.")] = 2
    read_back: Annotated[bool, Meta(description="Read every copy again from the disk before it counts.")] = False


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tracker remembers."""

    path: Annotated[str, Meta(description="Database file; empty: everysite.db in the home folder.")] = ""
    url: Annotated[
        str,
        Meta(
            description="A PostgreSQL database instead of a file, like postgresql://user@host/name; several processes may"
            " share it. Give one with a password as EVERYSITE_INDEX__URL, or keep the password in ~/.pgpass."
        ),
    ] = ""
    reader_threads: Annotated[int, Meta(ge=1, le=64, description="Threads for queries that read many rows.")] = 2


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything set before the start, for the process that works on the folder `home`."""

    home: Path
    server: Server = Server()
    api: Api = Api()
    access: Access = Access()
    mail: Mail = Mail()
    agent: Agent = Agent()
    index: Index = Index()

    @property
    def database(self) -> Path:
        """The index's file. A relative `index.path` is below the home folder."""
        return self.home / (self.index.path or "everysite.db")

    @property
    def remembers(self) -> str:
        """Where the tracker remembers, for people: the index's file, or its database without a password."""
        return shown(self.index.url) if self.index.url else str(self.database)


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": Server,
    "api": Api,
    "access": Access,
    "mail": Mail,
    "agent": Agent,
    "index": Index,
}
