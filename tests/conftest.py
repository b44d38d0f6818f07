"""What every test gets: system programs are looked for, and on CI they must be there.

``@pytest.mark.system("gcc")`` skips a test on a machine without the program and says so; with
``FORESHOCK_REQUIRE_SYSTEM=1`` (set by `.ci/run`, which installs the programs) it fails instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from app.own_log import RedactingFormatter
from tests.ending import end_all

__all__ = ["missing_programs", "pytest_runtest_setup", "pytest_unconfigure", "rules_of_the_log"]

# How long an example takes says something of the machine's load, nothing of the code: no test may fail by it.
settings.register_profile("foreshock", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("foreshock")


@pytest.fixture(autouse=True)
def rules_of_the_log() -> Generator[None]:
    """Leave the next test the rules by which the log of the process is written: a node brings its own."""
    before = RedactingFormatter.redaction
    yield
    RedactingFormatter.redaction = before


def pytest_unconfigure() -> None:
    """End the servers that the tests of this process share."""
    end_all()


def missing_programs(item: pytest.Item) -> list[str]:
    """Return the programs that a test's `system` markers name and that the PATH lacks."""
    named = [str(program) for marker in item.iter_markers("system") for program in marker.args]
    return [program for program in named if shutil.which(program) is None]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose system program is absent, or fail it where the program is required."""
    missing = missing_programs(item)
    if not missing:
        return
    reason = f"needs {', '.join(missing)}, not found on PATH"
    if os.environ.get("FORESHOCK_REQUIRE_SYSTEM") == "1":
        pytest.fail(f"{reason}, and FORESHOCK_REQUIRE_SYSTEM=1 allows no skip", pytrace=False)
    pytest.skip(reason)
