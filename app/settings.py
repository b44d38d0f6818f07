"""Every setting: environment ``FORESHOCK_*`` over a TOML file over the defaults, checked at the start.

`app.cli` loads them, `app.main` hands each part its own group.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from app.alert_settings import AlertSettings
from app.channel_settings import ChannelName, ChannelSettings
from app.cluster_settings import ClusterSettings
from app.dashboard_settings import DashboardSettings
from app.export_settings import ExportSettings
from app.history_settings import HistorySettings, checked_options, checked_url
from app.roles import ROLES, Roles
from app.runbook_settings import RunbookSettings
from app.security_settings import SecuritySettings
from app.zone import checked_zone
from features.errors import InvalidSetting

__all__ = [
    "FeatureSettings",
    "FeedbackSettings",
    "HistorySettings",
    "IngestSettings",
    "ModelSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "load_settings",
]


# What is wrong there may be a secret at the wrong place.
_SECRET = ("channels", "export.otlp", "history_options", "history_url", "nats_url", "runbook", "security.oidc")
_LOGIN = re.compile(r"//[^/\s']*@")  # of an address, a token among them
_JOBLIB = "FORESHOCK_JOBLIB_BACKEND"  # beside the long name, as other programs name their backend


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class ServerSettings(_Group):
    """Where the service listens."""

    host: str = "127.0.0.1"
    """Address of every listener. Loopback by default: nothing is reachable from outside until you say so."""
    otlp_http_port: int = Field(default=4318, ge=0, le=65535)
    """TCP port of OTLP/HTTP, the registered one; 0 takes a free port."""
    otlp_grpc_port: int = Field(default=4317, ge=0, le=65535)
    """TCP port of OTLP/gRPC, the registered one; 0 takes a free port."""
    api_port: int = Field(default=8318, ge=0, le=65535)
    """TCP port of REST and /metrics; 0 takes a free port."""
    keep_alive_s: int = Field(default=120, ge=1, le=86_400)
    """Seconds for which an idle HTTP connection is kept. Longer than the 90 s of Go clients and the 60 s between the exports of metrics, since a client that writes while the server hangs up loses the request. A head that has not arrived by then is given up too."""
    max_connections: int = Field(default=4096, ge=1, le=1_000_000)
    """HTTP connections that each port keeps open; one more is answered 503 and closed. A Collector keeps a few, an exporter one, so thousands of processes fit. An idle one takes 9 KiB (measured with 3,000); one that is read up to 0.3 MiB beside what `ingest.max_in_flight_bytes` counts. Each takes a file descriptor, so the process asks for as many as the system lets it have."""


class IngestSettings(_Group):
    """What one request may bring, and how much may be under way. Past each bound something is counted; docs/otlp.md says what."""

    engine: Literal["auto", "c", "python"] = "auto"
    """Which decoder reads protobuf. `auto` takes the one in C where it was built, else the one in Python, with the same results at a fraction of the speed; `c` stops the start where it was not built."""
    max_body_bytes: int = Field(default=64 * 2**20, ge=1024, le=2**31 - 1)
    """Bytes of a body after decompression, and of one without any. OTLP recommends 64 MiB; larger bodies are answered 413, far larger values let one client fill the memory."""
    max_packed_bytes: int = Field(default=64 * 2**20, ge=1024, le=2**31 - 1)
    """Bytes of a compressed body as received, where that is less than `max_body_bytes`. The same by default, since OTLP bounds both alike; telemetry shrinks to a seventh, so 16 MiB refuses hardly anything and lets slow senders hold less."""
    max_records_per_request: int = Field(default=100_000, ge=1, le=100_000_000)
    """Spans, log records or data points in one request. More are answered 413, whole. Collectors batch 8,192 by default; small values refuse real batches, large ones let one request delay the others for seconds."""
    max_errors_per_request: int = Field(default=1000, ge=0, le=1_000_000)
    """ErrorEvents decoded from one request. Beyond it errors are counted, not looked into: an error storm must not starve the rest. 0 counts only."""
    max_attribute_chars: int = Field(default=4096, ge=64, le=2**20)
    """Characters kept of an attribute, message or stack trace. A 2 MB attribute is cut to this; small values lose stack frames."""
    max_attributes: int = Field(default=32, ge=1, le=1024)
    """Attributes kept of one error, those that the semantic conventions name first. 32 hold all of these that one error has and some of the sender's own; with 1 hardly a kind can be told, 1024 let an error weigh 4 MB at the default `max_attribute_chars`."""
    max_attribute_depth: int = Field(default=6, ge=1, le=64)
    """Levels of lists and maps inside an attribute that become text; what is deeper is left out. Nobody reads a seventh level in an error; bodies nested beyond 100 are refused as malformed."""
    max_name_chars: int = Field(default=256, ge=16, le=4096)
    """Characters kept of the name of a service, operation, metric, peer or attribute. Names are labels: 256 is far more than a dashboard shows, and each is kept as long as its series."""
    max_operations_per_request: int = Field(default=4096, ge=1, le=1_000_000)
    """Operations that one request may name for one service; further ones count together as `_other`. 64 times what `features.max_operations` keeps, so only names with ids inside come near."""
    max_rows_per_request: int = Field(default=100_000, ge=1, le=10_000_000)
    """Traffic groups, levels and calls that one request may make; records beyond them are rejected in a partial success. About 20 MB of arrays, which no real request comes near."""
    max_in_flight_bytes: int = Field(default=256 * 2**20, ge=2**20, le=2**40)
    """Bytes that all requests hold together, received or decompressed, and again the bytes that wait for the log. Past it requests are answered 503 with Retry-After. Four of the largest bodies; decoding takes some times as much beside it, but of few requests at once."""
    max_tenant_in_flight_bytes: int = Field(default=192 * 2**20, ge=2**20, le=2**40)
    """Bytes that the requests of one tenant may hold of `max_in_flight_bytes`, so that it leaves room for others. Past it its requests are answered 429 with Retry-After. With one tenant set both alike."""
    max_lag: int = Field(default=1_000_000, ge=1, le=2**40)
    """Log messages that may wait to be absorbed. Past it requests are answered 503 with Retry-After, so that a node that takes in faster than it absorbs does not fall behind without end. A request makes one to eight; a million are minutes of work after a restart under full load, and some GB of disk."""
    max_calls: int = Field(default=512, ge=1, le=100_000)
    """Requests that are read or wait for the log over OTLP/HTTP, and as many calls over gRPC; more are answered 503 with Retry-After or UNAVAILABLE with RetryInfo. One whose body is still arriving holds bytes, not a place here. An exporter has one at a time, a Collector ten; 512 of 512 records are about a second of work, so none waits longer. One gRPC connection may bring an eighth at a time; what it has beyond waits with its sender."""
    body_timeout_s: float = Field(default=60.0, gt=0.0, le=3600.0)
    """Seconds in which a body must have arrived, over REST too; then it is answered 408, and a gRPC call ends with CANCELLED, after one second already while other calls wait for its thread. Far longer than the 10 s after which exporters give up; small values cut off slow links, and a body that stops arriving holds its bytes until then."""
    span_end_sample: int = Field(default=16, ge=1, le=2**20)
    """One of how many traces without errors gives its span ends to the service graph, which finds by them who calls whom where no attribute of the caller says so; traces with errors always do. One in 16 shows within minutes whatever edge is in use, at a sixteenth of the bytes in the log. 1 keeps the ends of every span; large values miss rare edges until they fail."""
    default_tenant: str = Field(default="default", min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.\-]+$")
    """Tenant of a request without X-Scope-OrgID, 1 to 128 characters. Where there is one team nobody need name it. Another name begins anew: models, incidents and history stay with the old one."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may send to OTLP/HTTP from a browser, such as `https://shop.example.com`; `*` stands for any characters. None by default: no page may."""
    cors_headers: tuple[str, ...] = ()
    """Request headers that such a page may send beside Content-Type, Content-Encoding, Authorization and X-Scope-OrgID, which are all that OTLP needs, so none by default. A page that sends one that is missing is stopped by its browser; nothing here reads any of them."""
    cors_credentials: bool = False
    """Whether such a page may send cookies and logins, as `sendBeacon` always does. Not together with the origin `*`: any page could then send in its visitor's name."""
    cors_max_age_s: int = Field(default=7200, ge=0, le=86_400)
    """Seconds for which a browser may remember a preflight. Two hours is the most that Chromium keeps; 0 asks before every request."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.max_tenant_in_flight_bytes < min(self.max_body_bytes, self.max_in_flight_bytes):
            raise ValueError(f"max_tenant_in_flight_bytes must be >= max_body_bytes ({self.max_body_bytes})")
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("cors_origins must name origins where cors_credentials is on")
        return self


class StoreSettings(_Group):
    """The durable log and state."""

    partitions: int = Field(default=8, ge=1, le=1024)
    """Partitions of the log, fixed when the data folder is made. 8 on one machine; more only make sense on a cluster."""
    commit_window_ms: float = Field(default=5.0, ge=0.0, le=1000.0)
    """Milliseconds for which appends are gathered into one flush to disk. 5 to 10 is where throughput stops rising; each answer waits for it."""
    checkpoint_s: float = Field(default=300.0, gt=0.0, le=3600.0)
    """Seconds between checkpoints of the whole state, each after an append to history. Longer means fewer, larger writes and a longer replay after a crash."""
    log_retention_s: float = Field(default=86400.0, ge=0.0)
    """Seconds for which absorbed log entries are kept; never removed before a checkpoint has passed them."""
    log_max_bytes: int = Field(default=8 * 2**30, ge=0, le=2**50)
    """Bytes that the log may hold. From half of them on absorbed entries go earlier than `log_retention_s` says; at the bound requests are answered 503 with Retry-After, and nothing is dropped. 0 sets none: the disk is the bound. A cluster gives each of its streams an even share, of which servers set a quarter more aside. Too small for what comes in while the worker stands still refuses senders early, too large fills the disk of all that lies beside it."""
    history_flush_rows: int = Field(default=200_000, ge=1)
    """Rows of history held in memory before an append is made early."""


class FeatureSettings(_Group):
    """Windows, series and the rule that finds incidents."""

    tick_s: int = Field(default=60, ge=1, le=3600)
    """Seconds of a window and between forecasts. Horizons are multiples of it."""
    lateness_s: int = Field(default=300, ge=0, le=3600)
    """Seconds for which a closed window still takes late data; later data is counted and refused."""
    max_operations: int = Field(default=64, ge=1, le=4096)
    """Operations of a service that are series of their own; the rest is `_other`."""
    max_series: int = Field(default=20_000, ge=1, le=10_000_000)
    """Series in memory, about 12 KiB each. Data of further ones is refused and counted."""
    max_series_per_tenant: int = Field(default=10_000, ge=1, le=10_000_000)
    """Series that one tenant may take of `max_series`, so that it leaves room for others. Data of further ones is refused and counted. With one tenant set both alike."""
    incident_k: int = Field(default=2, ge=1, le=60)
    """Windows out of `incident_m` that must break the bound before an incident is detected. 1 detects earlier and flaps more."""
    incident_m: int = Field(default=3, ge=1, le=60)
    """Windows that the rule looks back over, and quiet windows that end an incident."""
    incident_min_errors: int = Field(default=3, ge=1)
    """Errors in a window below which it never breaks the rule; two more in the pool of the last `incident_m` windows. 3 finds 70 of 71 faults of the demo, 5 found 39 without the pool; lower finds more and more harmless ones."""
    incident_min_ratio: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of failed requests above which a window can break the rule, where there is traffic."""
    absent_windows: int = Field(default=5, ge=1, le=60)
    """Windows without any expected traffic after which a silent service counts as broken."""
    taxonomy: Path | None = None
    """TOML file with rules of your own, tried before the built-in ones."""


class ModelSettings(_Group):
    """Learning."""

    seed: int = 0
    """Seed of everything random in training."""
    explain_series: int = Field(default=200, ge=0)
    """Series explained every tick, riskiest first. The cost is in docs/measurements.md."""
    min_incidents: int = Field(default=10, ge=1)
    """Incidents in history below which no model is fitted and the prior stays."""
    history_days: float = Field(default=60.0, gt=0.0)
    """Days of history that training looks back over."""
    training_s: float = Field(default=3600.0, gt=0.0)
    """Seconds after which a training run is stopped."""
    joblib_backend: Literal["", "threading", "loky", "dask", "ray"] = ""
    """Where training fits its members and a backtest walks its folds; `FORESHOCK_JOBLIB_BACKEND` too. Empty takes threads of one process at low priority; `loky` takes processes of this machine, which copy all rows; `dask` and `ray` take a cluster that exists (extras of the same names). The numbers are the same everywhere; docs/measurements.md has the times."""
    joblib_address: str = ""
    """Scheduler of the cluster, such as `tcp://dask:8786` or `ray://ray:10001`; only `dask` and `ray` read it, and do not start without."""
    joblib_workers: int = Field(default=2, ge=1, le=1024)
    """Members fitted, and with `loky` and `ray` folds walked, at a time. More than there are cores gains nothing, and each fold holds its own copy of the rows; 1 leaves other cores to what is served. A Dask cluster takes what it has."""
    shadow_hours: int = Field(default=6, ge=0, le=8760)
    """Hours that a model which passed the gate forecasts unheard beside the one that serves. 0 lets it serve at once; with many it is judged by more incidents, and the old one serves for as long."""
    watch_hours: int = Field(default=48, ge=0, le=8760)
    """Hours that a new model is compared with the one before, which serves again as soon as it is better beyond doubt. 0 never takes one back."""


class FeedbackSettings(_Group):
    """How what people say of predictions and incidents weighs in training."""

    time_zone: str = "UTC"
    """IANA name of the zone whose local time the calendar of what is expected keeps, such as `Europe/Berlin`. In UTC a weekly window at three in the morning moves by an hour when the clocks change."""
    false_alarm_weight: float = Field(default=3.0, ge=0.0, le=100.0)
    """What a fresh false alarm adds to the weight 1 of the rows that it speaks of. 0 leaves them as they are; large values let one verdict outweigh much of what was seen."""
    max_weight: float = Field(default=5.0, ge=1.0, le=100.0)
    """Most that a row weighs, however many false alarms speak of it. 1 lets no verdict weigh."""
    half_life_days: float = Field(default=30.0, gt=0.0, le=3650.0)
    """Days after which a false alarm adds half as much, since systems change. Small values forget within a training run's history, large ones never."""

    _zone = field_validator("time_zone")(checked_zone)


class WebhookSettings(_Group):
    """How alerts that come in over `/api/v1/webhooks/alertmanager` become incidents."""

    service_label: str = Field(default="service", min_length=1, max_length=256)
    """Label of an alert that holds the service, by its OpenTelemetry `service.name`. An alert without it is ignored, and the answer says so."""
    operation_label: str = Field(default="operation", min_length=1, max_length=256)
    """Label of an alert that holds the operation. An alert without it is about the whole service."""


class Settings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix="FORESHOCK_", env_nested_delimiter="__", extra="forbid", use_attribute_docstrings=True, frozen=True
    )

    data: Path = Path("data")
    """Folder of the log, the state, the history and the models. One process holds it at a time."""
    nats_url: str = ""
    """Servers of a NATS JetStream cluster that keeps log, state, documents and models instead of the data folder, such as `nats://n1:4222,nats://n2:4222,nats://n3:4222`; history stays in the folder unless `history_url` says otherwise. Empty by default: one machine needs no cluster."""
    history_url: str = ""
    """Where history lies: a folder, or a URL that begins with `s3://`, `gs://`, `az://` or `file://`. Empty by default, which is `history` in the data folder. In a folder an append takes a fraction of the time; under a URL history outlives the machine, and all nodes of a cluster share it, which training on several needs. What lies in the folder by then is copied there by `foreshock migrate`."""
    history_options: dict[str, SecretStr] = {}
    """Options of the object store as delta-rs names them, such as `aws_region`, `aws_endpoint_url` and `aws_secret_access_key`. None by default: `AWS_*`, `GOOGLE_*` and `AZURE_*` of the environment are read too. Their values are never printed."""
    roles: str = "ingest,worker,api"
    """What the node does, one or more of `ingest` (listens for OTLP), `worker` (forecasts, writes the clock's ticks, trains when there is a reason) and `api` (answers over REST), with commas in between. All by default, and always without `nats_url`, since one process holds the data folder. On a cluster fewer let each part have as many nodes as it needs, and a slow reader delays no sender; every node then needs the others."""
    signing_key: Path | None = None
    """File with the 32 bytes that models are signed with, as a secret is mounted. Every node of a cluster needs the same ones: a node refuses models that were signed with others. By default `signing.key` in the data folder, made at the first start; a file that is named here is never made."""
    server: ServerSettings = ServerSettings()
    ingest: IngestSettings = IngestSettings()
    store: StoreSettings = StoreSettings()
    cluster: ClusterSettings = ClusterSettings()
    features: FeatureSettings = FeatureSettings()
    models: ModelSettings = ModelSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    history: HistorySettings = HistorySettings()
    webhooks: WebhookSettings = WebhookSettings()
    export: ExportSettings = ExportSettings()
    channels: dict[ChannelName, ChannelSettings] = {}
    """Ways in which notices leave, by a name of yours; see below. None by default: nothing leaves until you say where to. In the environment `FORESHOCK_CHANNELS` holds all of them as JSON, or names are in upper case and are read in lower case."""
    runbook: RunbookSettings = RunbookSettings()
    alerts: AlertSettings = AlertSettings()
    dashboard: DashboardSettings = DashboardSettings()
    security: SecuritySettings = SecuritySettings()

    _url = field_validator("history_url")(checked_url)
    _options = field_validator("history_options")(checked_options)

    @field_serializer("nats_url", when_used="json")
    def _shown(self, url: str) -> str:
        """Print addresses without what lets a client in."""
        return _LOGIN.sub("//", url)

    @model_validator(mode="after")
    def _history_reaches_back(self) -> Self:
        for name in ("windows", "facts"):
            days = self.history.days()[name]
            if 0 < days < self.models.history_days:
                raise ValueError(
                    f"history.{name}_days must be 0 or >= models.history_days ({self.models.history_days:g}), which training reads; "
                    f"it is {days}"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose values come in as arguments."""
        short = {"models": {"joblib_backend": os.environ[_JOBLIB]}} if _JOBLIB in os.environ else {}
        return env_settings, InitSettingsSource(settings_cls, short), init_settings


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the TOML file and the environment.

    Parameters
    ----------
    config : Path, optional
        A TOML file with the groups as tables.
    **overrides
        Command-line values by name; a dotted name reaches into a group; None is ignored. They win over everything.

    Returns
    -------
    Settings

    Raises
    ------
    InvalidSetting
        With one line that names the setting, the value and the bound.
    """
    first = _nested(overrides)

    class Overridden(Settings):  # so that all is checked together, by the same validators
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return InitSettingsSource(settings_cls, first), *super().settings_customise_sources(settings_cls, *sources, **named)

    try:
        values = tomllib.loads(config.read_text(encoding="utf-8")) if config else {}
        found = Overridden(**values)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidSetting(f"cannot read {config}: {exc}") from exc
    except ValidationError as exc:
        raise _refusal(exc) from None  # its text has the values, and some are secrets
    except SettingsError as exc:
        raise InvalidSetting(f"settings: {exc}; the environment must hold JSON there") from None
    return _checked(Settings.model_construct(**{name: getattr(found, name) for name in Settings.model_fields}))


def _checked(settings: Settings) -> Settings:
    """Return settings whose roles are some that a node can have."""
    if not Roles.of(settings.roles).all and not settings.nats_url:
        raise InvalidSetting(
            f"setting roles: must be {','.join(ROLES)} without nats_url, since one process holds the data folder, got {settings.roles!r}"
        )
    return settings


def _refusal(exc: ValidationError) -> InvalidSetting:
    """Return one line about the first value that is out of bounds."""
    first = exc.errors()[0]
    where, got = ".".join(str(part) for part in first["loc"]), first.get("input")
    if not where:  # several together: the message names them
        return InvalidSetting(f"settings: {first['msg']}")
    # A name that is none may be that of a secret, mistyped or in the wrong group.
    hidden = where.startswith(_SECRET) or (first["type"] == "extra_forbidden" and not isinstance(got, int | float))
    return InvalidSetting(f"setting {where}: {first['msg']}, got {'a value that is not shown' if hidden else repr(got)}")


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name as a file has them, groups as tables."""
    found: dict[str, Any] = {}
    for name, value in overrides.items():
        top, _, leaf = name.partition(".")
        if value is None:
            continue
        if leaf:
            found.setdefault(top, {})[leaf] = value
        else:
            found[top] = value
    return found
