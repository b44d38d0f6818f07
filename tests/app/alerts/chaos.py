"""A tenant whose alerts are made and told by processes that die, over a channel that fails in every way there is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.alerts.alerting import Alerting, AlertingParts
from app.alerts.contract import Notice
from app.alerts.sender import Sender, SenderParts, SenderPlan
from app.alerts.states import acknowledged
from app.breaker import Breaker, BreakerPlan
from app.cache.alert_records import AlertRecord
from app.cache.documents import decode_document, encode_document
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import NotDelivered, NotLetIn
from tests.alert_builders import a_route
from tests.api_builders import Clock, a_prediction, put_prediction

__all__ = ["Chaos", "Moody"]


@dataclass
class Moody:
    """A channel that fails in a share of cases, as receivers do: away, at fault, busy, barred, or as nobody foresaw."""

    rng: random.Random
    share: float = 0.0
    told: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    name: str = "post"

    def send(self, notices: Sequence[Notice]) -> None:
        """Take notices, or fail, of which now and then nothing is lost but the answer."""
        failures = (
            NotDelivered("no answer"),
            NotDelivered("answered 500", away=False),
            NotDelivered("answered 429", away=False, wait_s=self.rng.choice((0.0, 5.0, 50.0))),
            NotLetIn("answered 401"),
            RuntimeError("nobody foresaw it"),
        )
        fails = self.rng.random() < self.share
        if not fails or self.rng.random() < self.share / 3:
            self.told += [(notice.key, notice.firing) for notice in notices]
        if fails:
            raise self.rng.choice(failures)


class Chaos:
    """Some steps of a minute, in each of which something happens by chance."""

    def __init__(self, documents: Documents, seed: int) -> None:
        self.documents = documents
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.seconds = 0.0
        self.channel = Moody(self.rng)
        self.route = a_route(min_duration_s=self.rng.choice((0.0, 60.0)), by_service=self.rng.random() < 0.5)
        self.taken: dict[str, int] = {}
        """How much was told when somebody took an alert."""
        self.begin()

    def begin(self) -> None:
        """Begin with new processes, as after a kill."""
        telemetry = Telemetry()
        breaker = Breaker("post", telemetry, BreakerPlan(10.0, 1.0, 30.0), lambda: self.seconds, random.Random(1))
        parts = SenderParts(self.documents, breaker, telemetry, self.clock, monotonic=lambda: self.seconds)
        self.alerting = Alerting(AlertingParts(self.documents, telemetry, self.clock), [self.route])
        self.sender = Sender(self.channel, parts, SenderPlan())

    def alerts(self) -> list[AlertRecord]:
        """Return the alerts that are kept."""
        return [decode_document(document.value, AlertRecord) for document in self.documents.items("alerts")]

    def take(self) -> None:
        """Let somebody look after some of the alerts."""
        for document in self.documents.items("alerts"):
            alert = decode_document(document.value, AlertRecord)
            if alert.active and alert.acknowledged_at is None and self.rng.random() < 0.3:
                after = encode_document(acknowledged(alert, "ann", self.clock()))
                self.documents.swap("alerts", document.key, after, document.revision)
                self.taken[alert.id] = len(self.channel.told)

    def minute(self) -> None:
        """Predict, and let some things happen."""
        self.channel.share = self.rng.choice((0.0, 0.3, 0.9))
        for service in ("web", "db", "cart"):
            said = a_prediction(service, risk=2 * self.rng.choice((0.05, 0.2, 0.5, 0.5)))
            put_prediction(self.documents, replace(said, as_of=self.clock(), expires_at=self.clock()))
        for _ in range(self.rng.randint(0, 4)):
            self.rng.choice((self.alerting.look_at_all, self.sender.send_due, self.begin, self.take))()
            self.seconds += self.rng.choice((0.5, 5.0, 40.0))
        self.clock.move(60)

    def calm(self) -> None:
        """Let everything work for a while."""
        self.channel.share = 0.0
        for _ in range(20):
            self.alerting.look_at_all()
            self.sender.send_due()
            self.seconds += 70.0
