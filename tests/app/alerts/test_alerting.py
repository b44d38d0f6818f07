"""Alerts and notices that are made out of documents, by one home or by two at once."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from app.alerts.alerting import Alerting, AlertingParts, AlertingPlan
from app.alerts.states import acknowledged
from app.cache.alert_records import AlertRecord, NoticeRecord
from app.cache.documents import decode_document, encode_document, tenant_key
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import StoreFailed
from models.prediction import Prediction
from tests.alert_builders import a_route, at
from tests.api_builders import Clock, a_prediction, put_prediction
from tests.app.alerts.chaos import Chaos


def an_alerting(documents: Documents, clock: Clock) -> Alerting:
    return Alerting(AlertingParts(documents, Telemetry(), clock), [a_route()])


def risky(risk: float, at_s: float = 0.0, service: str = "payment") -> Prediction:
    """Return a prediction of an incident within 15 minutes."""
    return replace(a_prediction(service, risk=2 * risk), as_of=at(at_s))


def alerts_in(documents: Documents) -> list[AlertRecord]:
    return [decode_document(document.value, AlertRecord) for document in documents.items("alerts")]


def notices_in(documents: Documents) -> list[NoticeRecord]:
    return [decode_document(document.value, NoticeRecord) for document in documents.items("notices")]


def test_an_alert_and_its_notice_are_written_and_end_together(documents: Documents, clock: Clock) -> None:
    alerting = an_alerting(documents, clock)
    put_prediction(documents, risky(0.45, service="calm"))
    put_prediction(documents, risky(0.5))
    alerting.look_at_all()
    assert [(one.service, one.state) for one in alerts_in(documents)] == [("payment", "firing")]
    assert [(one.seq, one.firing) for one in notices_in(documents)] == [(1, True)]
    assert alerting.parts.telemetry.value("alerts", state="firing") == 1.0
    clock.move(60)
    put_prediction(documents, risky(0.1, 60))
    alerting.look_at_all()
    assert [(one.state, one.ended_at) for one in alerts_in(documents)] == [("resolved", at(60))]
    assert [(one.seq, one.firing, one.ends_at) for one in notices_in(documents)] == [(2, False, at(60))]
    assert alerting.parts.telemetry.value("alerts", state="firing") == 0.0


def test_two_homes_at_once_make_one_alert_and_one_notice(documents: Documents, clock: Clock) -> None:
    homes = [an_alerting(documents, clock) for _ in range(2)]
    for number, risk in enumerate((0.5, 0.2, 0.5, 0.1, 0.5)):
        put_prediction(documents, risky(risk, 60 * number))
        clock.move(60)
        threads = [threading.Thread(target=home.look_at_all) for home in homes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for home in homes:
        home.look_at_all()
        assert home.parts.telemetry.values("faults") == {}
    assert [one.state for one in sorted(alerts_in(documents), key=lambda one: one.started_at)] == [
        "resolved",
        "resolved",
        "firing",
    ]
    assert sorted((one.seq, one.firing) for one in notices_in(documents)) == [(1, True), (2, False), (2, False)]


def test_a_notice_that_a_dead_process_did_not_write_is_written_by_the_next(documents: Documents, clock: Clock) -> None:
    put_prediction(documents, risky(0.5))
    an_alerting(documents, clock).look_at_all()
    for document in documents.items("notices"):
        documents.delete("notices", document.key)
    an_alerting(documents, clock).look_at_all()
    assert [(one.seq, one.firing) for one in notices_in(documents)] == [(1, True)]


def test_what_fired_and_was_told_to_nobody_when_its_process_died_is_told_of_although_it_is_over(
    documents: Documents, clock: Clock
) -> None:
    put_prediction(documents, risky(0.5))
    an_alerting(documents, clock).look_at_all()
    for document in documents.items("notices"):
        documents.delete("notices", document.key)
    put_prediction(documents, risky(0.1, 60))
    an_alerting(documents, clock).look_at_all()
    assert [one.state for one in alerts_in(documents)] == ["resolved"]
    assert [(one.seq, one.firing) for one in notices_in(documents)] == [(2, False)]


def test_of_too_many_alerts_those_that_end_are_kept_for_an_hour(documents: Documents, clock: Clock) -> None:
    kept: list[int] = []
    for most in (0, 50_000):
        alerting = Alerting(
            AlertingParts(documents, Telemetry(), clock), [a_route(name=f"r{most}")], AlertingPlan(kept_most=most)
        )
        put_prediction(documents, risky(0.5, at_s=(clock() - at(0)).total_seconds()))
        alerting.look_at_all()
        clock.move(60)
        put_prediction(documents, risky(0.1, at_s=(clock() - at(0)).total_seconds()))
        alerting.look_at_all()
        clock.move(3600)
        kept.append(len(alerts_in(documents)))
    assert kept == [0, 1]


def test_a_look_that_fails_is_not_repeated_at_once_for_ever(documents: Documents, clock: Clock) -> None:
    class Turns(threading.Event):
        left = 50

        def wait(self, timeout: float | None = None) -> bool:
            self.left -= 1
            return self.left < 0

    seconds, looks = [0.0], list[str]()

    def home(tenant: str) -> bool:
        looks.append(tenant)
        raise StoreFailed("no server leads")

    put_prediction(documents, risky(0.5))
    alerting = an_alerting(documents, clock)
    alerting.parts = replace(alerting.parts, home=home, monotonic=lambda: seconds[0])
    stop = Turns()
    alerting.run(stop)
    assert len(looks) == 1


def test_what_somebody_acknowledged_meanwhile_stays_acknowledged(documents: Documents, clock: Clock) -> None:
    alerting = an_alerting(documents, clock)
    put_prediction(documents, risky(0.5))
    alerting.look_at_all()
    (alert,) = alerts_in(documents)
    documents.put("alerts", tenant_key("default", alert.id), encode_document(acknowledged(alert, "ann", at(30))))
    put_prediction(documents, risky(0.4, 60))
    alerting.look_at_all()
    (after,) = alerts_in(documents)
    assert (after.state, after.acknowledged_by, after.value) == ("acknowledged", "ann", 0.4)


def test_it_looks_at_news_and_ends_when_it_is_told_to(documents: Documents, clock: Clock) -> None:
    alerting = Alerting(AlertingParts(documents, Telemetry(), clock), [a_route()], AlertingPlan(poll_s=0.001, anyway_s=3600.0))
    stop = threading.Event()
    thread = threading.Thread(target=alerting.run, args=(stop,))
    thread.start()
    put_prediction(documents, risky(0.5))
    while not alerts_in(documents):
        assert thread.is_alive()
    stop.set()
    thread.join()


def test_a_tenant_that_cannot_be_looked_at_is_counted_and_holds_no_other_up(documents: Documents, clock: Clock) -> None:
    put_prediction(documents, risky(0.5))
    put_prediction(documents, replace(risky(0.5), series=replace(risky(0.5).series, tenant="blue")))
    alerting = an_alerting(documents, clock)

    def home(tenant: str) -> bool:
        return tenant != "red"

    def now_and_then() -> object:
        if alerting.parts.telemetry.value("faults", place="alerts") < 1:
            raise StoreFailed("no server leads")
        return clock()

    alerting.parts = replace(alerting.parts, home=home, now=now_and_then)  # pyright: ignore[reportArgumentType]
    alerting.look_at_all()
    assert [one.tenant for one in alerts_in(documents)] == ["default"]
    assert alerting.parts.telemetry.value("faults", place="alerts") == 1.0


def test_a_home_that_cannot_be_told_is_counted_and_holds_no_other_up(documents: Documents, clock: Clock) -> None:
    for tenant in ("blue", "default"):
        put_prediction(documents, replace(risky(0.5), series=replace(risky(0.5).series, tenant=tenant)))
    alerting = an_alerting(documents, clock)

    def home(tenant: str) -> bool:
        if tenant == "blue":
            raise StoreFailed("no server leads")
        return True

    alerting.parts = replace(alerting.parts, home=home)
    alerting.look_at_all()
    assert [one.tenant for one in alerts_in(documents)] == ["default"]
    assert alerting.parts.telemetry.value("faults", place="alerts") == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_whatever_receivers_and_processes_do_nothing_is_lost_or_repeated_after_an_acknowledgement(
    documents: Documents, seed: int
) -> None:
    chaos = Chaos(documents, seed)
    for _ in range(30):
        chaos.minute()
    chaos.calm()
    told, alerts = chaos.channel.told, chaos.alerts()
    assert len(alerts) > 5
    for alert_id, so_far in chaos.taken.items():
        assert (alert_id, True) not in told[so_far:]
    for alert in alerts:
        untaken = alert.id not in chaos.taken
        assert alert.state != "firing" or (alert.id, True) in told
        assert not alert.over or (alert.id, True) not in told or (alert.id, False) in told
        assert not alert.over or alert.heard_at is None or (alert.id, False) in told or not untaken
