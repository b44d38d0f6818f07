"""The units for systemd."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import load_settings
from tests.cluster.servers import BINARY
from tests.deploy.samples import DEPLOY, HANDOVER_S, ROLES, of_file, parsed, unknown_settings

SYSTEMD = DEPLOY / "systemd"
UNITS = ("foreshock.service", "nats-server.service")


@pytest.mark.system("systemd-analyze")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    programs = {
        "/opt/foreshock/.venv/bin/foreshock": Path(sys.executable).parent / "foreshock",
        "/usr/local/bin/nats-server": BINARY,
    }
    text = (SYSTEMD / name).read_text()
    for program, here in programs.items():
        text = text.replace(program, str(here))
    (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / name)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_environment_names_settings_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = of_file(SYSTEMD / "foreshock.env")
    assert unknown_settings(environment) == []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert len(settings.nats_url.split(",")) == len(settings.cluster.monitor_urls) == 3
    assert settings.cluster.node == "node-1"
    assert settings.history_url.startswith("s3://")


def test_the_unit_starts_with_options_that_exist_and_has_the_time_to_hand_over() -> None:
    text = (SYSTEMD / "foreshock.service").read_text()
    (serve,) = re.findall(r"^ExecStart=\S+ (.+)$", text, re.MULTILINE)
    (check,) = re.findall(r"^ExecStartPre=\S+ (.+)$", text, re.MULTILINE)
    roles = of_file(SYSTEMD / "foreshock.env")["ROLES"]
    assert set(parsed(serve.replace("${ROLES}", roles).split())["roles"].split(",")) == ROLES
    assert parsed(check.split()) is not None
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) >= HANDOVER_S + 30
    (state,) = re.findall(r"^StateDirectory=(.+)$", text, re.MULTILINE)
    assert of_file(SYSTEMD / "foreshock.env")["FORESHOCK_DATA"] == f"/var/lib/{state}"


def test_a_variable_that_is_no_setting_is_found() -> None:
    names = ("FORESHOCK_NATS_URLS", "FORESHOCK_CLUSTER__NODES", "FORESHOCK_CLUSTER", "FORESHOCK_DATA__X", "HOME")
    assert unknown_settings(dict.fromkeys(names, "")) == [
        "FORESHOCK_NATS_URLS",
        "FORESHOCK_CLUSTER__NODES",
        "FORESHOCK_DATA__X",
    ]
