"""The command line: JSON where it reports, one line where the user is mistaken, and a clean end on a signal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app, main
from app.main import Node
from features.errors import ForeshockError, InvalidSetting, InvalidValue
from tests.nodes import run_node, settings_in
from tests.recorded import recorded, write_lines

ROOT = Path(__file__).parents[2]
PORTS = {f"FORESHOCK_SERVER__{name}_PORT": "0" for name in ("OTLP_HTTP", "OTLP_GRPC", "API")}


def run(*arguments: object) -> tuple[int, str]:
    """Run a command in this process and return its exit code and standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout


def an_empty_folder(folder: Path) -> Path:
    """Make a data folder in which nothing is."""
    Node(settings_in(folder)).close()
    return folder


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `main` with a mistake and return its one line."""
    monkeypatch.setattr(sys, "argv", ["foreshock", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert "Traceback" not in told.err
    return told.err


def test_version_is_printed_and_in_json() -> None:
    code, plain = run("version")
    assert code == 0
    assert json.loads(run("version", "--json")[1]) == {"version": plain.strip()}


def test_settings_in_force_are_printed_as_json(tmp_path: Path) -> None:
    config = tmp_path / "foreshock.toml"
    config.write_text("[features]\ntick_s = 30\n", encoding="utf-8")
    shown = json.loads(run("check-config", "--config", config, "--data", tmp_path, "--json")[1])
    assert (shown["features"]["tick_s"], shown["data"]) == (30, str(tmp_path))
    assert json.loads(run("check-config")[1])["features"]["tick_s"] == 60


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[features]\ntick_s = 0\n", "setting features.tick_s: "),
        ("[features]\ntikc_s = 5\n", "setting features.tikc_s: "),
        ("[nonsense]\nx = 1\n", "setting nonsense: "),
        ("tick = [", "cannot read "),
    ],
)
def test_a_bad_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, told: str
) -> None:
    config = tmp_path / "foreshock.toml"
    config.write_text(text, encoding="utf-8")
    line = refused(monkeypatch, capsys, "check-config", "--config", config)
    assert line.startswith(f"foreshock: {told}")
    assert line.count("\n") == 1


def test_a_bad_setting_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORESHOCK_SERVER__API_PORT", "70000")
    assert refused(monkeypatch, capsys, "check-config").startswith("foreshock: setting server.api_port: ")


def test_mistakes_end_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    absent = tmp_path / "absent.jsonl"
    assert refused(monkeypatch, capsys, "replay", absent, "--data", tmp_path / "a", "--json").startswith(
        f"foreshock: cannot read {absent}"
    )
    lines = write_lines(tmp_path / "lines.jsonl", recorded(1))
    assert "cannot reach http://127.0.0.1:9" in refused(monkeypatch, capsys, "replay", lines, "--to", "http://127.0.0.1:9")
    made = an_empty_folder(tmp_path / "b")
    assert "incidents to learn from" in refused(monkeypatch, capsys, "train", "--data", made, "--json")
    backwards = ("--since", "2026-11-02T00:00:00Z", "--until", "2026-11-01")
    assert "since must be before until, got 2026-11-02T00:00:00+00:00 and" in refused(
        monkeypatch, capsys, "backtest", "--data", made, *backwards
    )
    nowhere = tmp_path / "none" / "report.html"
    assert f"html must be a file in a folder that is there, got {nowhere}" in refused(
        monkeypatch, capsys, "backtest", "--data", made, "--html", nowhere
    )
    held = refused(monkeypatch, capsys, "serve", "--data", lines)
    assert held.startswith("foreshock: data folder")
    assert held.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "backtest", "models"])
def test_what_only_reads_makes_no_folder_where_a_name_was_mistyped(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mistyped = tmp_path / "dta"
    assert f"{mistyped} is no data folder of Foreshock" in refused(monkeypatch, capsys, command, "--data", mistyped)
    assert not mistyped.exists()


def test_roles_are_refused_where_they_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = refused(monkeypatch, capsys, "serve", "--roles", "worker", "--data", tmp_path)
    assert "setting roles: must be ingest,worker,api without nats_url" in told
    assert "got 'worker'" in told
    told = refused(monkeypatch, capsys, "serve", "--roles", "worker,cook", "--data", tmp_path)
    assert "setting roles: must be one or more of ingest,worker,api, got 'worker,cook'" in told
    monkeypatch.setenv("FORESHOCK_ROLES", "api")
    assert "without nats_url" in refused(monkeypatch, capsys, "check-config")
    assert list(tmp_path.iterdir()) == []


def test_a_replay_reports_in_json_and_in_words(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines.jsonl", recorded(5))
    report = json.loads(run("replay", file, "--data", tmp_path / "data", "--json")[1])
    assert report["lines"] == len(recorded(5))
    assert report["services"] == 4
    code, words = run("replay", file, "--data", tmp_path / "data")
    assert code == 0
    assert f"resumed_after: {report['lines']}" in words


def test_a_replay_to_a_running_service_reports_what_it_sent(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines.jsonl", recorded(2))
    with run_node(tmp_path / "data") as running:
        report = json.loads(run("replay", file, "--to", running.served.otlp_http, "--json")[1])
    assert (report["requests"], report["refused"]) == (len(recorded(2)), 0)
    assert report["shift_s"] > 0


def test_every_error_of_the_tree_is_a_mistake_in_one_line() -> None:
    assert issubclass(InvalidSetting, ForeshockError)
    assert issubclass(InvalidValue, ForeshockError)
