"""What all tests share: how patient hypothesis is, and what happens where a real server is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# Machines that run tests are of all speeds: how long one example takes says nothing about the code.
settings.register_profile("mailward", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mailward")


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """Skip, with the reason, where a program is not installed; fail instead with MAILWARD_REQUIRE_SERVERS=1."""

    def check(*programs: str) -> None:
        missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
        if missing and os.environ.get("MAILWARD_REQUIRE_SERVERS") == "1":
            pytest.fail(f"not installed, and MAILWARD_REQUIRE_SERVERS=1: {', '.join(missing)}")
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")

    return check
