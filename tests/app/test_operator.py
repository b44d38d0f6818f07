"""Who runs a command has a name, also where the system knows none."""

from __future__ import annotations

import pwd

import pytest

from app.operator import operator


def test_the_name_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ana")
    assert operator() == "ana"


def test_a_user_without_a_name_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    unknown = max(entry.pw_uid for entry in pwd.getpwall()) + 1
    monkeypatch.setattr("os.getuid", lambda: unknown)
    assert operator() == f"user {unknown}"
