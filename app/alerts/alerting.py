"""Makes alerts of what is known, and notices of alerts, at the home of each tenant.

`app.main` runs it in a thread beside the worker. At news it evaluates (`app.alerts.evaluation`), writes the alerts that
changed, and then what is to be told of them (`app.alerts.outbox`), each by compare-and-set: two homes at once write the
same or one is refused, and what a process left undone the next look does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.alerts.evaluation import evaluate
from app.alerts.known import Known
from app.alerts.outbox import link_of, wanted
from app.alerts.routes import Route
from app.cache.alert_records import ALERT_STATES, AlertRecord, NoticeRecord
from app.cache.decoded import Decoded
from app.cache.documents import encode_document, tenant_key
from app.home import everywhere
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import Conflict, ForeshockError

__all__ = ["Alerting", "AlertingParts", "AlertingPlan"]

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
_AGAIN_S = 5.0  # after a look that failed; guessed
_PASSED_TTL_S = 3600.0  # of an alert that never fired: long enough to be seen; guessed


@dataclass(frozen=True, slots=True)
class AlertingPlan:
    """How alerts are looked after.

    Parameters
    ----------
    poll_s : float
        Seconds between two looks whether there is news.
    anyway_s : float
        Seconds after which is looked without: silences end, and series fall silent.
    kept_days, kept_most : float and int
        Days for which alerts that are over are kept, and how many there may be of all tenants before those that end are kept for an hour:
        so that a threshold which thousands of series waver around fills no memory. Guessed: some 50 MB.
    stale_s, tick_s : float
        After how long nothing is heard of a series any more, and how long a window is.
    external_url, dashboard : str, bool
        What links begin with, and whether they lead to a page for people.
    """

    poll_s: float = 0.5
    anyway_s: float = 15.0
    kept_days: float = 30.0
    kept_most: int = 50_000
    stale_s: float = 900.0
    tick_s: float = 60.0
    external_url: str = ""
    dashboard: bool = False


@dataclass(frozen=True, slots=True)
class AlertingParts:
    """What it reads and asks.

    Parameters
    ----------
    documents : Documents
        Everything that alerts are made of, and alerts and notices themselves.
    telemetry : Telemetry
        Where it counts.
    now : callable
        Returns the time, aware.
    home : callable
        Whether this node decides for a tenant, see `app.home`.
    monotonic : callable
        Seconds.
    """

    documents: Documents
    telemetry: Telemetry
    now: Callable[[], datetime]
    home: Callable[[str], bool] = everywhere
    monotonic: Callable[[], float] = time.monotonic


class Alerting:
    """Looks after the alerts of the tenants whose home this node is. Used by one thread.

    Parameters
    ----------
    parts : AlertingParts
        What it reads and asks.
    routes : sequence of Route
        What is alerted on, and who is told.
    plan : AlertingPlan
        How often, and how long things are kept.
    """

    def __init__(self, parts: AlertingParts, routes: Sequence[Route], plan: AlertingPlan = AlertingPlan()) -> None:
        self.parts = parts
        self.routes = {route.name: route for route in routes}
        self.plan = plan
        operations = any(route.operations for route in routes)
        self._known = Known(parts.documents, plan.stale_s, plan.tick_s, operations=operations)
        self._notices = Decoded(parts.documents.watch("notices"), NoticeRecord)
        self._seen: tuple[int, ...] = ()
        self._looked = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Look for news until told to stop."""
        while not stop.wait(self.plan.poll_s):
            changes, now = self._known.changes, self.parts.monotonic()
            if changes != self._seen or now - self._looked >= self.plan.anyway_s:
                self._seen, self._looked = changes, now  # what is written meanwhile, also by this look, is news again
                self.look_at_all()
        self._known.close()
        self._notices.watch.close()

    def look_at_all(self) -> None:
        """Look at the tenants whose home this node is; what cannot be looked at now is logged and counted."""
        states: Counter[str] = Counter()
        for tenant in self._known.tenants():
            try:
                if self.parts.home(tenant):
                    states += self.look(tenant)
            except Exception as exc:  # forecasts go on whatever fails here, and the next look may be luckier
                unforeseen = None if isinstance(exc, ForeshockError) else exc
                logger.error("alerts of tenant %s were not looked at: %s", tenant, exc, exc_info=unforeseen)
                self.parts.telemetry.faults.labels(place="alerts").inc()
                self._looked = min(self._looked, self.parts.monotonic() + _AGAIN_S - self.plan.anyway_s)
        for state in ALERT_STATES[:-1]:
            self.parts.telemetry.alerts.labels(state=state).set(states[state])

    def look(self, tenant: str) -> Counter[str]:
        """Evaluate a tenant, write what changed and what is to be told, and return how many alerts there are by state."""
        situation = self._known.situation(tenant, self.parts.now())
        self._tell(situation.alerts)  # at first, as what a process that died left untold may be over with this look
        current = {alert.id: alert for alert in situation.alerts}
        for alert in evaluate(list(self.routes.values()), situation):
            if self._write(alert):
                current[alert.id] = alert
                self._tell([alert])
            else:  # another home was first, or somebody acknowledged it: what came of that is looked at next
                current.pop(alert.id, None)
        return Counter(alert.state for alert in current.values() if not alert.over)

    def _write(self, alert: AlertRecord) -> bool:
        key = tenant_key(alert.tenant, alert.id)
        ttl_s = self.plan.kept_days * _DAY_S if alert.over else 3 * self.plan.kept_days * _DAY_S
        if alert.over and (alert.fired_at is None or self._known.alerts.size > self.plan.kept_most):
            ttl_s = _PASSED_TTL_S
        return self._swapped("alerts", key, encode_document(alert), self._known.alerts.revision(key), ttl_s)

    def _tell(self, alerts: Iterable[AlertRecord]) -> None:
        """Bring the outbox up to what alerts say."""
        for alert in alerts:
            key, route = tenant_key(alert.tenant, alert.id), self.routes.get(alert.rule)
            kept = self._notices.one(key)
            if alert.over and (kept is None or not kept.firing):
                continue  # as most are, of a month of them
            link = link_of(alert, self.plan.external_url, self.plan.dashboard)
            notice = wanted(alert, kept, route.channels if route is not None else (), link)
            if notice is not None:
                revision = 0 if kept is None else self._notices.revision(key)
                self._swapped("notices", key, encode_document(notice), revision, 3 * self.plan.kept_days * _DAY_S)

    def _swapped(self, bucket: str, key: str, value: bytes, revision: int, ttl_s: float) -> bool:
        """Write a document unless another one wrote it meanwhile; then look again soon."""
        try:
            self.parts.documents.swap(bucket, key, value, revision, ttl_s=ttl_s)
        except Conflict:
            self._looked = float("-inf")
            return False
        return True
