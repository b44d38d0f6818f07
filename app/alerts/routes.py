"""Routes: which series alert on what, what that may spend, and who is told.

`app.parts` makes them of settings; `app.alerts.evaluation` goes by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from app.alert_settings import AlertRouteSettings, AlertSettings
from app.alerts.labels import OWN, admits, matchers_of
from app.alerts.states import Bounds
from app.cache.alert_records import MatcherRecord, ThresholdRecord
from features.errors import InvalidSetting
from features.series import WHOLE

__all__ = ["DEFAULT_ROUTES", "Route", "routes_of"]

DEFAULT_ROUTES = (AlertRouteSettings(name="predictions"), AlertRouteSettings(name="incidents", on="incident"))
"""What there is where settings name no route: both in shadow, for all services."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Parameters
    ----------
    name, on, horizon
        What it is called, what it alerts on (``prediction``, ``anomaly`` or ``incident``), and which probability it looks at.
    matchers : tuple of MatcherRecord
        Which series it takes.
    operations : bool
        Whether single operations alert too.
    budget_per_day : float
        Pages a day.
    threshold : float or None
        A fixed one.
    default_threshold : float
        What counts while nothing is known.
    resolve_ratio, min_duration_s : float
        See `app.alerts.states.Bounds`.
    by_service : bool
        Whether a page is of one service.
    group_s : float
        Seconds for which a page takes further alerts in.
    shadow : bool
        Whether nobody is told.
    channels : tuple of str
        Who is.
    labels : Mapping of str to str
        Further labels.
    """

    name: str
    on: str = "prediction"
    horizon: str = "15min"
    matchers: tuple[MatcherRecord, ...] = ()
    operations: bool = False
    budget_per_day: float = 2.0
    threshold: float | None = None
    default_threshold: float = 0.5
    resolve_ratio: float = 0.7
    min_duration_s: float = 0.0
    by_service: bool = False
    group_s: float = 3600.0
    shadow: bool = True
    channels: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, given: AlertRouteSettings) -> Route:
        """Return the route of a table of settings."""
        names = [name for name in AlertRouteSettings.model_fields if name not in ("selector", "group_by")]
        named = {name: getattr(given, name) for name in names}
        return cls(**named, matchers=matchers_of(given.selector), by_service=given.group_by == "service")

    def selects(self, tenant: str, service: str, operation: str) -> bool:
        """Return whether a series is one of the route's."""
        if operation != WHOLE and not self.operations:
            return False
        return admits(self.matchers, {**self.labels, "tenant": tenant, "service": service, "operation": operation})

    def labels_of(self, tenant: str, service: str, operation: str) -> dict[str, str]:
        """Return the labels of an alert of a series."""
        return {
            **self.labels,
            "alertname": self.name,
            "tenant": tenant,
            "service": service,
            "operation": operation,
            "on": self.on,
            OWN[0]: OWN[1],
        }

    def bounds(self, threshold: float) -> Bounds:
        """Return how an alert begins and ends at a threshold."""
        ratio = 1.0 if self.on == "incident" else self.resolve_ratio
        return Bounds(threshold, threshold * ratio, self.min_duration_s)

    def threshold_of(self, fitted: ThresholdRecord | None) -> float:
        """Return the threshold of a prediction's route that counts now."""
        if self.threshold is not None:
            return self.threshold
        return self.default_threshold if fitted is None else fitted.threshold

    def question(self) -> str:
        """Return a name for what a threshold that is found depends on: the same again needs no other threshold."""
        labels = dict(self.labels) if self.matchers else {}
        asked = (self.on, self.horizon, self.matchers, self.operations, self.budget_per_day, self.default_threshold)
        asked += (self.resolve_ratio, self.min_duration_s, self.by_service, self.group_s, sorted(labels.items()))
        return sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def page_key(self, service: str) -> str:
        """Return what alerts of one page have in common."""
        return service if self.by_service else ""


def routes_of(settings: AlertSettings, known: Sequence[str]) -> tuple[Route, ...]:
    """Return the routes of the settings.

    Parameters
    ----------
    settings : AlertSettings
        Checked.
    known : sequence of str
        Names of the channels that there are.

    Raises
    ------
    InvalidSetting
        When a route names a channel that there is not.
    """
    for route in settings.routes:
        unknown = sorted(set(route.channels) - set(known))
        if unknown:
            raise InvalidSetting(
                f"setting alerts.routes: route {route.name!r} names channels that are not set up: {unknown}; there are {sorted(known)}"
            )
    return tuple(Route.of(route) for route in settings.routes or DEFAULT_ROUTES)
