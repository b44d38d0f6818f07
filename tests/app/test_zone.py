"""Zones are known by their IANA names, and nothing else on the disk is taken for one."""

from __future__ import annotations

import pytest

from app.zone import checked_zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_a_zone_keeps_its_name(name: str) -> None:
    assert checked_zone(name) == name


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "\0"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be an IANA time zone such as Europe/Berlin"):
        checked_zone(name)
