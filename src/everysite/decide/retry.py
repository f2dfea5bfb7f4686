"""When a failed task is tried again.

Owns: the backoff curve with jitter, and what each class of failure costs.
Must not know: clocks, random numbers (the caller draws `spread`), tasks, or how a site is probed.
"""

from __future__ import annotations

import msgspec

from everysite.errors import Cancelled, EverysiteError, Refused, SiteUnreachable, StaleLease
from everysite.model.site import Policy

REFUSED_STEPS = 6
"""A refused file starts this many doublings up the curve (5 s -> 320 s): only a person's hand can help it."""


class Retry(msgspec.Struct, frozen=True):
    """What becomes of a task after a failure.

    `run_at`: ms since 1970 of the next try. `counts`: the failure is one more of `tries`. `halt`: stop all work of
    the site and probe it. `give_up`: the tries allowed are used up; show it, and wait for a person or a new gen.
    """

    run_at: int
    counts: bool = True
    halt: bool = False
    give_up: bool = False


def delay(tries: int, first: float, longest: float, spread: float) -> float:
    """Seconds to wait after the `tries`-th failure (1 for the first): `first`, doubled each time, at most `longest`.

    `spread` in [0, 1) is drawn by the caller and shortens the wait over its full range, so that a thousand failed
    tasks do not come back at one moment: 0 gives the whole wait, values near 1 almost none.
    """
    doublings = min(max(tries, 1) - 1, 62)  # 2.0 ** 62 s is far above any `longest`
    return min(longest, first * 2.0**doublings) * (1.0 - spread)


def verdict(error: EverysiteError, tries: int, policy: Policy, now_ms: int, spread: float) -> Retry:
    """What a failure means for a task that had failed `tries` times before it.

    `policy.retry_count` is how many tries a task has in all; -1 is without end. Refused files are not given up at
    once (somebody may free them), they only wait longer; an unreachable site, a stop on purpose and work that was
    given to somebody else cost no try.
    """
    if isinstance(error, StaleLease | Cancelled):
        return Retry(now_ms, counts=False)
    if isinstance(error, SiteUnreachable):
        return Retry(_later(1, policy, now_ms, spread), counts=False, halt=True)
    tries += 1
    step = tries + REFUSED_STEPS if isinstance(error, Refused) else tries
    return Retry(_later(step, policy, now_ms, spread), give_up=0 <= policy.retry_count <= tries)


def _later(tries: int, policy: Policy, now_ms: int, spread: float) -> int:
    return now_ms + int(1000 * delay(tries, policy.retry_delay, policy.retry_max_delay, spread))
