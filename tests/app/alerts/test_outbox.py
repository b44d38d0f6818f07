"""What is to be told of alerts, and to whom."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.alerts.evaluation import evaluate
from app.alerts.outbox import annotations_of, delivered, due, link_of, notice_of, wanted
from app.alerts.states import acknowledged
from app.cache.alert_records import AlertRecord, NoticeRecord
from tests.alert_builders import a_route, an_alert, an_observation, at, known

POST = ("post",)


def noted(alert: AlertRecord) -> NoticeRecord:
    notice = wanted(alert, None, POST, "")
    assert notice is not None
    return notice


def test_what_fires_is_told_once_and_that_it_is_over_once() -> None:
    alert = an_alert()
    notice = noted(alert)
    assert (notice.seq, notice.firing, notice.starts_at) == (1, True, at(0))
    assert due(notice, alert, "post", at(1), None)
    assert not due(notice, alert, "mail", at(1), None)
    has_it = delivered(notice, "post", 1, at(1))
    assert not due(has_it, alert, "post", at(3600), None)
    over = replace(alert, state="resolved", ended_at=at(600))
    ended = wanted(over, has_it, POST, "")
    assert ended is not None
    assert (ended.seq, ended.firing, ended.ends_at, ended.settled) == (2, False, at(600), False)
    assert due(ended, over, "post", at(601), None)
    settled = delivered(ended, "post", 2, at(601))
    assert settled.settled
    assert not due(settled, over, "post", at(602), None)
    assert wanted(over, settled, POST, "") is None


def test_nothing_is_told_of_shadows_or_of_what_was_quiet_all_along_or_to_nobody() -> None:
    assert wanted(an_alert(shadow=True), None, POST, "") is None
    assert [wanted(an_alert(state=state), None, POST, "") for state in ("pending", "silenced", "inhibited", "resolved")] == [
        None
    ] * 4
    assert wanted(an_alert(), None, (), "") is None


def test_a_receiver_that_forgets_is_told_again_until_it_is_over_also_of_what_is_acknowledged() -> None:
    alert = an_alert()
    notice = delivered(noted(alert), "post", 1, at(0))
    assert [due(notice, alert, "post", at(s), 60.0) for s in (59, 60)] == [False, True]
    assert due(notice, acknowledged(alert, "ann", at(10)), "post", at(60), 60.0)
    assert not due(notice, replace(alert, state="silenced"), "post", at(60), 60.0)
    assert not due(delivered(noted(alert), "post", 1, at(0), "no such project"), alert, "post", at(60), 60.0)


def test_an_id_that_comes_again_is_told_of_again() -> None:
    first = an_alert()
    over = replace(first, state="resolved", ended_at=at(600))
    ended = wanted(over, delivered(noted(first), "post", 1, at(1)), POST, "")
    assert ended is not None
    again = replace(first, fired_at=at(5000), started_at=at(5000))
    for kept in (ended, delivered(ended, "post", 2, at(601))):
        anew = wanted(again, kept, POST, "")
        assert anew is not None
        assert (anew.seq, anew.firing, anew.starts_at, anew.ends_at) == (3, True, at(5000), None)
        assert due(anew, again, "post", at(5001), None)
        assert not due(delivered(anew, "post", 3, at(5001)), again, "post", at(5002), None)
    assert wanted(first, ended, POST, "") is None  # as whoever sees the alert later than its notice has it


def test_a_clock_that_was_set_back_leaves_no_receiver_to_forget() -> None:
    alert = an_alert()
    notice = delivered(noted(alert), "post", 1, at(3600))
    assert due(notice, alert, "post", at(0), 60.0)
    assert not due(notice, alert, "post", at(3550), 60.0)  # the clock of another node, a little ahead


def test_what_was_not_told_yet_when_somebody_took_it_is_told_to_nobody() -> None:
    alert = an_alert()
    assert not due(noted(alert), acknowledged(alert, "ann", at(10)), "post", at(20), None)
    assert not due(noted(alert), None, "post", at(20), None)


def test_what_was_told_later_stays_whoever_notes_first() -> None:
    ended = replace(noted(an_alert()), seq=2, firing=False)
    newest = delivered(ended, "post", 2, at(9))
    assert delivered(newest, "post", 1, at(10)) is newest


def test_a_notice_says_what_a_person_needs() -> None:
    alert = an_alert()
    notice = wanted(alert, None, POST, "https://foreshock.example.com/alerts?alert=a-1")
    assert notice is not None
    told = notice_of(notice, replace(alert, probability=0.9, value=0.9, group_id="g1"))
    assert told.key == alert.id
    assert told.link == "https://foreshock.example.com/alerts?alert=a-1"
    assert told.annotations == {
        "summary": "payment: an incident is likely to begin within 15min (90%)",
        "description": "errors rise",
        "threshold": "0.5",
        "value": "0.9",
        "group_id": "g1",
        "probability": "0.900",
        "horizon": "15min",
    }
    of_operation = an_alert(probability=None, horizon=None, operation="POST /", reasons=())
    assert annotations_of(of_operation)["summary"] == "payment POST /: pages"
    of_incident = annotations_of(replace(of_operation, reasons=("errors rise", "the bank does not answer")))
    assert (of_incident["summary"], of_incident["description"]) == ("payment POST /: errors rise", "the bank does not answer")
    assert "description" not in annotations_of(replace(of_operation, reasons=("errors rise",)))  # the summary says it
    assert notice_of(notice, None).annotations["probability"] == "0.800"


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.9]), st.sampled_from(["", "ack", "send", "die"])), max_size=30))
def test_none_is_repeated_after_acknowledgement_and_none_that_fired_is_lost(steps: list[tuple[float, str]]) -> None:
    """A channel that is told what is due at each step, by a process that now and then dies before it notes that."""
    alerts: dict[str, AlertRecord] = {}
    notices: dict[str, NoticeRecord] = {}
    told: list[tuple[str, bool]] = []
    route, taken = a_route(), set[str]()
    for number, (p, act) in enumerate(steps):
        now_s = number * 60
        situation = known([an_observation(p=p, at_s=now_s)], now_s=now_s, alerts=list(alerts.values()))
        alerts |= {alert.id: alert for alert in evaluate([route], situation)}
        if act == "ack":
            mine = {key: acknowledged(alert, "ann", at(now_s)) for key, alert in alerts.items() if alert.active}
            alerts |= mine
            taken |= set(mine)
        for key, alert in alerts.items():
            notices[key] = (
                wanted(alert, notices.get(key), POST, "") or notices.get(key) or replace(noted(an_alert()), channels=())
            )
            if act in ("send", "die") and due(notices[key], alert, "post", at(now_s), None):
                assert not notices[key].firing or key not in taken
                told.append((key, notices[key].firing))
                if act == "send":
                    notices[key] = delivered(notices[key], "post", notices[key].seq, at(now_s))
    for key, alert in alerts.items():
        if notices[key].channels and not due(notices[key], alert, "post", at(10**6), None):
            assert key in taken or (key, alert.active) in told


def test_links_lead_to_the_page_for_people_where_there_is_one() -> None:
    alert = an_alert("a-1", tenant="team a")
    assert (
        link_of(alert, "https://foreshock.example.com/", True) == "https://foreshock.example.com/alerts?alert=a-1&tenant=team+a"
    )
    assert link_of(alert, "https://foreshock.example.com", False) == "https://foreshock.example.com/api/v1/alerts/a-1"
    assert link_of(alert, "", True) == ""
