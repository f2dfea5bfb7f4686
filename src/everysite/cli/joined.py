"""What an agent needs to serve a site again: kept in its state folder by `join`, read by `agent`.

Owns: the file agent.json (0600, there is a token in it) and where state folders are by default.
Must not know: how an agent works.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from everysite.cli.private import read_private, write_private
from everysite.errors import BadRequest, Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Joined:
    """One site of one tracker, with its files in `folder` (absolute)."""

    url: str
    token: str
    fingerprint: str
    site: str
    folder: str


def default_state(site: str) -> Path:
    """Below the user's home of everysite, one folder a site."""
    from everysite.config import home_of

    return home_of(None, os.environ) / "agents" / site


def load(state: Path) -> Joined:
    """Raises NotFound when nothing was joined there, BadRequest when the file is damaged."""
    found = read_private(state / "agent.json")
    if not found:
        raise NotFound(f"{state} holds no joined site; join one with: everysite join URL TOKEN FOLDER --state {state}")
    try:
        return Joined(**found)
    except TypeError as err:
        raise BadRequest(f"{state / 'agent.json'} is damaged ({err}); join again") from err


def save(state: Path, joined: Joined) -> None:
    """Raises Conflict when the folder is another site's; joining the same one again takes the new token."""
    if (state / "agent.json").exists():
        old = load(state)
        if (old.site, old.folder) != (joined.site, joined.folder):
            raise Conflict(
                f"{state} belongs to the site {old.site} with the folder {old.folder}; give --state another folder"
            )
    write_private(state / "agent.json", asdict(joined))
