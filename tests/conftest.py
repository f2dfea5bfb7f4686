"""What every test may rely on: one event loop kind, the long or the short counts, an environment without settings.

Owns: shared fixtures and the Hypothesis profile.
Must not know: any room of everysite.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

LONG = os.environ.get("EVERYSITE_LONG") == "1"
"""`./run test --long`: the full counts of the crash and system suites instead of about a minute each."""

# No deadline: two busy cores make any single example slow now and then. Not derandomized: every run looks elsewhere.
settings.register_profile("everysite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("everysite-long", settings.get_profile("everysite"), max_examples=1000)
settings.load_profile("everysite-long" if LONG else "everysite")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, which is what the program itself runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether the full counts are asked for."""
    return LONG


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own EVERYSITE_* variables must not decide what a test sees."""
    for key in [key for key in os.environ if key.startswith("EVERYSITE_") and key != "EVERYSITE_LONG"]:
        monkeypatch.delenv(key)
