"""Settings of alerts: which routes there are, what each may spend, and how long things are kept.

`app.settings` holds them; `app.alerts.routes` makes routes of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["AlertRouteSettings", "AlertSettings"]

_NAME = r"^[A-Za-z0-9_.\-]+$"

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=_NAME)]
LabelName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class AlertRouteSettings(BaseModel):
    """Which series a route looks at, what it may spend on them, and who is told."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    name: Name
    """What alerts, REST and documents call it. Another name begins anew."""
    on: Literal["prediction", "anomaly", "incident"] = "prediction"
    """What it alerts on: how likely an incident is to begin, how unusual the last window is, or an incident that has begun."""
    selector: dict[LabelName, str] = {}
    """Patterns by label (`service`, `operation`, `tenant`) in which `*` stands for any characters, such as `{service = "pay*"}`; all must fit, and one that begins with `!` must not. Empty takes every series."""
    operations: bool = False
    """Whether single operations alert beside their whole service. They say mostly the same once more, so not by default."""
    horizon: Literal["5min", "15min", "60min"] = "15min"
    """Which probability is looked at. The middle one tells best what is close to an incident, see docs/measurements.md."""
    budget_per_day: float = Field(default=2.0, gt=0.0, le=10_000.0)
    """Pages a day and tenant that the route may open, right or wrong. Thresholds follow from it: a small budget announces only what is nearly certain, a large one wakes people for little."""
    threshold: float | None = Field(default=None, gt=0.0, le=1.0)
    """A fixed threshold in the place of the one that follows from the budget. None by default: nobody knows a good one beforehand."""
    default_threshold: float = Field(default=0.5, gt=0.0, le=1.0)
    """Threshold until there is history enough to follow the budget. Guessed: what is likelier than not, so that nearly nothing is said before the budget is known; two pages a day come to 0.15 on the simulated shop. Far lower pages often in the first days."""
    resolve_ratio: float = Field(default=0.7, gt=0.0, le=1.0)
    """An alert is over below this part of its threshold. Guessed; at 1 one that wavers around its threshold begins and ends all the time, near 0 none ends."""
    min_duration_s: float = Field(default=0.0, ge=0.0, le=86_400.0)
    """Seconds for which the threshold must be met before it fires. 0 fires at once, since a warning of ten minutes cannot wait; longer ones spare blips."""
    group_by: Literal["tenant", "service"] = "tenant"
    """What is one page: all alerts of the tenant within `group_s`, as where its services are one system, or those of one service."""
    group_s: float = Field(default=3600.0, ge=0.0, le=86_400.0)
    """Seconds from a page's first alert within which further ones belong to it. An hour is the longest horizon; 0 makes each alert a page."""
    shadow: bool = True
    """Only write down what would have been sent. So by default: look at what a route would have said before it wakes anybody."""
    channels: tuple[Name, ...] = ()
    """Names of the channels that are told. None by default: then nobody is."""
    labels: dict[LabelName, str] = {}
    """Further labels of its alerts, such as `{severity = "page"}`."""


class AlertSettings(BaseModel):
    """Alerts: what is worth telling somebody, and how it is made sure that it arrives."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    routes: tuple[AlertRouteSettings, ...] = ()
    """Tables of `[[alerts.routes]]`; docs/alerts.md has their members. None by default: then there are `predictions` and `incidents`, both in shadow, for all services."""
    lookback_days: float = Field(default=14.0, ge=3.0, le=365.0)
    """Days of predictions that thresholds are found on, anew every day. Two weeks hold each day of the week twice; a few follow a change sooner and waver, many lag behind. A third of them must be there, until then `default_threshold` counts."""
    stale_s: float = Field(default=900.0, ge=60.0, le=86_400.0)
    """Seconds without a new prediction after which an alert of the series ends for want of data. Short ones end alerts at every pause of the node."""
    resend_s: float = Field(default=60.0, ge=1.0, le=86_400.0)
    """Seconds after which channels of the kind `alertmanager` are told again what still fires, since Alertmanager forgets an alert after five minutes without news; a minute is what Prometheus takes. Others are told once that it fires and once that it is over."""
    external_url: str = Field(default="", max_length=1024)
    """Where this node's port of REST is reached by those who are told, such as `https://foreshock.example.com`. Links lead to the alert's page of the dashboard, or where that is off to the alert over REST. Empty leaves links out."""
    kept_days: float = Field(default=30.0, ge=1.0, le=3650.0)
    """Days for which alerts and silences that are over are kept to be read. Each is about a kilobyte in every node's memory."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [route.name for route in self.routes]
        if len(set(names)) < len(names):
            raise ValueError(f"routes must have names of their own, got {names}")
        return self
