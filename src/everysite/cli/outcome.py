"""From a verb to an exit code: parse, run, and say in one line what went wrong.

Owns: the exit codes (docs/cli.md), the form of an error on the terminal, and what an interrupt or a closed pipe does.
Must not know: any verb.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from everysite.cli import close_output
from everysite.errors import BadRequest, EverysiteError, Refused, SiteUnreachable

if TYPE_CHECKING:
    from everysite.cli import Verb

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the whole usage is one `--help` away."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def exit_code(error: EverysiteError) -> int:
    """The exit code of a failure, by what a person can do about it."""
    if isinstance(error, BadRequest):
        return USAGE
    if isinstance(error, Refused):
        return REFUSED
    return UNREACHABLE if isinstance(error, SiteUnreachable) else FAILED


def carry_out(verb: str, module: Verb, summary: str, words: Sequence[str]) -> int:
    """Parse the words of a verb and run it. Expected trouble becomes one line on stderr, never a traceback."""
    parser = Parser(prog=f"everysite {verb}", description=summary[:1].upper() + summary[1:] + ".", allow_abbrev=False)
    try:
        module.arguments(parser)
        code = module.run(parser.parse_args(words))
        sys.stdout.flush()
        return code
    except SystemExit as done:  # argparse has said everything already
        return done.code if isinstance(done.code, int) else OK
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        close_output()
        return FAILED
    except EverysiteError as error:
        complain(verb, explained(error))
        return exit_code(error)
    except OSError as error:
        complain(verb, f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return FAILED


def complain(verb: str, message: str) -> None:
    """One line on stderr, whatever the message contains."""
    print(f"everysite {verb}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def explained(error: EverysiteError) -> str:
    """The message; refusals, which share an exit code, begin with which one it is."""
    return f"{error.code.replace('-', ' ')}: {error}" if exit_code(error) == REFUSED else str(error)
