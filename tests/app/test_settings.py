"""Settings: which source wins, and what a wrong value says."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from app.ingest.limits import Limits
from app.settings import IngestSettings, Settings, load_settings
from features.errors import InvalidSetting


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORESHOCK_DATA", "FORESHOCK_SERVER__API_PORT", "FORESHOCK_FEATURES__TICK_S"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "foreshock.toml"
    path.write_text('data = "from-file"\n[server]\napi_port = 9001\n[features]\ntick_s = 30\n', encoding="utf-8")
    return path


def test_defaults_listen_on_loopback_and_the_registered_ports() -> None:
    settings = load_settings()
    assert (settings.server.host, settings.server.otlp_http_port, settings.server.otlp_grpc_port) == ("127.0.0.1", 4318, 4317)


def test_file_wins_over_defaults(config: Path) -> None:
    settings = load_settings(config)
    assert (settings.data, settings.server.api_port, settings.features.tick_s) == (Path("from-file"), 9001, 30)
    assert settings.server.host == "127.0.0.1"


def test_environment_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_SERVER__API_PORT", "9002")
    settings = load_settings(config)
    assert settings.server.api_port == 9002
    assert settings.features.tick_s == 30


def test_the_short_name_of_the_joblib_backend_is_a_setting_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "joblib.toml"
    file.write_text('[models]\njoblib_backend = "threading"\njoblib_workers = 3\n', encoding="utf-8")
    monkeypatch.setenv("FORESHOCK_JOBLIB_BACKEND", "loky")
    models = load_settings(file).models
    assert (models.joblib_backend, models.joblib_workers) == ("loky", 3)
    monkeypatch.setenv("FORESHOCK_MODELS__JOBLIB_BACKEND", "")
    assert load_settings(file).models.joblib_backend == ""
    monkeypatch.delenv("FORESHOCK_MODELS__JOBLIB_BACKEND")
    monkeypatch.setenv("FORESHOCK_JOBLIB_BACKEND", "spark")
    with pytest.raises(InvalidSetting, match=r"setting models\.joblib_backend: .*got 'spark'"):
        load_settings(file)


def test_command_line_wins_over_everything(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_SERVER__API_PORT", "9002")
    monkeypatch.setenv("FORESHOCK_DATA", "from-environment")
    settings = load_settings(config, **{"server.api_port": 9003, "data": Path("from-command"), "server.host": None})
    assert (settings.server.api_port, settings.data, settings.server.host) == (9003, Path("from-command"), "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\napi_port = 70000\n", r"setting server\.api_port: .*65535.*got 70000"),
        ("[server]\nport = 1\n", r"setting server\.port: .*got 1"),
        ('[ingest]\ndefault_tenant = "a/b"\n', r"setting ingest\.default_tenant: .*got 'a/b'"),
        ("[ingest]\nmax_tenant_in_flight_bytes = 1048576\n", r"setting ingest: .*must be >= max_body_bytes \(67108864\)"),
        ("[cluster]\nttl_s = 1.5\n", r"setting cluster: .*ttl_s must be > three times heartbeat_s \(0\.5\)"),
        ('[cluster]\nnode = "a b"\n', r"setting cluster\.node: .*got 'a b'"),
        ('[ingest]\ncors_origins = ["*"]\ncors_credentials = true\n', r"setting ingest: .*cors_origins must name origins"),
        ('[ingest]\nengine = "rust"\n', r"setting ingest\.engine: .*got 'rust'"),
        ("unheard_of = 1\n", r"setting unheard_of: .*got 1"),
        ("[server\n", r"cannot read .*foreshock\.toml"),
    ],
)
def test_wrong_file_is_refused_in_one_line_that_names_the_setting(config: Path, text: str, message: str) -> None:
    config.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSetting, match=message) as refusal:
        load_settings(config)
    assert "\n" not in str(refusal.value)


def test_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"cannot read .*absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_wrong_option_is_refused_like_a_wrong_file() -> None:
    with pytest.raises(InvalidSetting, match=r"setting features\.tick_s: .*got 0"):
        load_settings(None, **{"features.tick_s": 0})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("history_url", "ftp://telemetry", r"setting history_url: .*scheme must be one of"),
        ("history_options", {"allow_unsafe_rename": "true"}, r"setting history_options: .*leave it out"),
        ("roles", "cook", r"setting roles: must be one or more of ingest,worker,api, got 'cook'"),
        ("models.history_days", 50_000.0, r"history\.windows_days must be 0 or >= models\.history_days \(50000\)"),
        ("unheard_of", 1, r"setting unheard_of: "),
    ],
)
def test_what_the_command_line_says_is_checked_like_a_file_and_together_with_it(
    config: Path, name: str, value: object, message: str
) -> None:
    config.write_text("[history]\nwindows_days = 400\n", encoding="utf-8")
    with pytest.raises(InvalidSetting, match=message):
        load_settings(config, **{name: value})


def test_settings_are_of_one_type_wherever_they_come_from(config: Path) -> None:
    assert type(load_settings(config, data=Path("x"))) is Settings
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    "text",
    [
        'nats_url = ["nats://SECRET@n1"]\n',
        'nats_ulr = "nats://SECRET@n1"\n',
        '[cluster]\nnats_url = "nats://SECRET@n1"\n',
        '[history_option]\naws_secret_access_key = "SECRET"\n',
        'history_options = "SECRET"\n',
    ],
)
def test_a_secret_at_the_wrong_place_is_not_shown(config: Path, text: str) -> None:
    config.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSetting, match="a value that is not shown") as refusal:
        load_settings(config)
    assert "SECRET" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_options_in_the_environment_that_are_no_json_are_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_HISTORY_OPTIONS", '{"aws_secret_access_key": "SECRET')
    with pytest.raises(InvalidSetting, match=r'"history_options".*must hold JSON') as refusal:
        load_settings()
    assert "SECRET" not in str(refusal.value)


def test_printed_settings_hold_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_NATS_URL", "nats://SECRET@n1:4222,tls://me:SECRET@n2:4222")
    settings = load_settings()
    assert settings.nats_url.count("SECRET") == 2
    assert '"nats_url":"nats://n1:4222,tls://n2:4222"' in settings.model_dump_json()


def test_settings_cannot_change_after_the_start() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.data = Path("elsewhere")


def test_every_limit_of_a_request_reaches_those_who_check_it() -> None:
    numbers = {
        name: field.default + 1
        for name, field in IngestSettings.model_fields.items()
        if name.startswith("max_") or name == "span_end_sample"
    }
    limits = Limits.of(IngestSettings(**numbers), 7)
    renamed = {
        "max_records": "max_records_per_request",
        "max_operations": "max_operations_per_request",
        "max_rows": "max_rows_per_request",
    }
    expected = {field.name: numbers[renamed.get(field.name, field.name)] for field in fields(Limits) if field.name != "tick_s"}
    assert asdict(limits) == expected | {"tick_s": 7}
    assert set(numbers) - {renamed.get(name, name) for name in expected} == {"max_calls"}  # the transports' own


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "..", "/etc/passwd"])
def test_time_zone_must_be_one_of_iana(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_FEEDBACK__TIME_ZONE", zone)
    with pytest.raises(InvalidSetting, match=r"feedback\.time_zone: .*IANA"):
        load_settings(None)
    monkeypatch.setenv("FORESHOCK_FEEDBACK__TIME_ZONE", "America/New_York")
    assert load_settings(None).feedback.time_zone == "America/New_York"
