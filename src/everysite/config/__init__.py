"""Settings: the file, the environment and the command line become one frozen value, read once at the start.

What may change while running (sites, rules, schedules, global parameters) is an element and not here.
"""

from everysite.config.edit import write
from everysite.config.keys import Access, Agent, Api, Index, Mail, Server, Settings
from everysite.config.load import FILE, Key, check, describe, home_of, load

__all__ = [
    "FILE",
    "Access",
    "Agent",
    "Api",
    "Index",
    "Key",
    "Mail",
    "Server",
    "Settings",
    "check",
    "describe",
    "home_of",
    "load",
    "write",
]
