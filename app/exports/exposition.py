"""Shows the probabilities of services to whoever reads `/metrics`.

`app.main` registers it where the API is; what it shows is looked up when somebody asks, in `app.exports.chances`.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.exports.chances import FORESEEN, Chances, Shown
from models.prediction import HORIZONS

__all__ = ["FAMILIES", "Exposition"]

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "foreshock_incident_probability": (
        "Probability that an incident of a service begins within the horizon; of whole services, the riskiest export.max_series over all "
        "tenants, while their prediction holds and is none of a service that warms up or has an incident.",
        ("tenant", "service", "horizon"),
    ),
    "foreshock_service_status": (
        "1 for the status of the prediction of each of these services, in_incident and warming_up among them.",
        ("tenant", "service", "status"),
    ),
    "foreshock_prediction_age_seconds": ("Age of the oldest prediction that is shown; absent where none is.", ()),
    "foreshock_services_left_out": (
        "Services whose prediction is not shown: limit (there are more than export.max_series), or stale (another model or feedback came, "
        "and no forecast since).",
        ("reason",),
    ),
}
"""What is shown, with its meaning and its labels."""


class Exposition(Collector):
    """The probabilities as metrics of Prometheus.

    Parameters
    ----------
    chances : Chances
        Where they come from.
    most : int
        Services that are shown at most.
    """

    def __init__(self, chances: Chances, most: int) -> None:
        self._chances = chances
        self._most = most

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name what will be shown, without looking."""
        return iter(_families().values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look, and show what was found."""
        shown, families = self._chances.shown(self._most), _families()
        for head in shown.heads:
            names = [head.tenant, head.service]
            families["foreshock_service_status"].add_metric([*names, head.status], 1.0)
            for horizon in HORIZONS if head.status in FORESEEN else ():
                families["foreshock_incident_probability"].add_metric([*names, horizon], head.horizons[horizon].probability)
        if shown.heads:
            families["foreshock_prediction_age_seconds"].add_metric([], self._oldest_s(shown))
        families["foreshock_services_left_out"].add_metric(["limit"], shown.beyond)
        families["foreshock_services_left_out"].add_metric(["stale"], shown.stale)
        return iter(families.values())

    def _oldest_s(self, shown: Shown) -> float:
        return max(0.0, (self._chances.now() - min(head.as_of for head in shown.heads)).total_seconds())


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, meaning, labels=labels) for name, (meaning, labels) in FAMILIES.items()}
