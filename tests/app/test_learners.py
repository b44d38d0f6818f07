"""What forecasts and learns, by tenant: its state, and whom it is about."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from app.champion import Champion
from app.flow import Flow, FlowPlan
from app.learners import Learners
from app.replay import signal_of, times_of
from app.telemetry import Telemetry
from features.extract import SCHEMA, extract
from features.memory import Memory, MemoryPlan
from features.series import WHOLE
from tests.ensembles import an_ensemble
from tests.lines import open_line
from tests.recorded import BEGIN_S, recorded
from training.dataset import RECOVERY_TICKS

SECOND = 10**9


def test_learners_of_a_series_that_is_gone_forget_it(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(40))
        line.end_tick()
        data = line.worker.flow.learners.snapshot()["default"]
    assert set(msgspec.msgpack.decode(data)) == {"keys", "members", "maturing"}
    empty = Flow(FlowPlan(), Telemetry())
    empty.learners.restore("default", data)
    assert all(len(pending.rows) == 0 for pending in empty.learners.maturing["default"].pending)


def test_windows_of_which_nothing_is_known_are_remembered_over_a_restart() -> None:
    before, after = Flow(FlowPlan(), Telemetry()).learners, Flow(FlowPlan(), Telemetry()).learners
    before.waiting("default").unheard(range(30, 42))
    after.restore("default", before.snapshot()["default"])
    assert after.waiting("default").gaps == [(30, 42)]


def test_nothing_is_learned_from_a_series_that_has_just_left_an_incident_as_in_training(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(45, failing=range(20, 24)))
        line.end_tick()
        memory, waiting = line.worker.flow.memory, line.worker.flow.learners.waiting("default").pending
    left = memory.onsets.columns["last_end"]
    (row,) = [row for row in np.flatnonzero(left >= 0).tolist() if memory.directory.keys[row].operation == "*"]
    recovery = range(int(left[row]) + 1, int(left[row]) + RECOVERY_TICKS + 2)
    asked = {pending.tick: row in pending.rows for pending in waiting if len(pending.rows)}
    assert [kept for tick, kept in asked.items() if tick in recovery] == [False]
    assert [kept for tick, kept in asked.items() if tick > recovery.stop] == [True, True]


def test_learners_of_another_schema_are_left_out_with_the_rows_that_wait(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(40))
        line.end_tick()
        data = line.worker.flow.learners.snapshot()["default"]
        wire = msgspec.msgpack.decode(data)
        wire["members"] = wire["members"].replace(SCHEMA.sha256.encode(), b"another")
        flow = line.worker.flow
        flow.learners.maturing.clear()
        flow.learners.restore("default", msgspec.msgpack.encode(wire))
        assert not flow.learners.maturing
        flow.learners.restore("default", data)
        assert flow.learners.maturing["default"].pending
        assert {pending.version for pending in flow.learners.maturing["default"].pending} == {"prior"}
        assert all(
            pending.hazards.keys() >= {"prior", "blend", "served"} for pending in flow.learners.maturing["default"].pending
        )


def test_learners_of_a_tenant_name_its_own_series_only_and_find_them_again(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.clock.now_ns = BEGIN_S * SECOND
        for text in recorded(30):
            line.clock.now_ns = max([line.clock.now_ns, *times_of(text)])
            line.pass_to(line.clock.now_ns // SECOND // 60)
            for tenant in ("red", "blue"):
                line.receiver.receive(tenant, signal_of(text), "json", text)  # pyright: ignore[reportArgumentType]
        line.end_tick()
        line.worker.checkpoint()
        before, after = line.worker.flow, line.new_worker().flow
    learners = before.learners.snapshot()
    for tenant in ("red", "blue"):
        assert {key[0] for key in msgspec.msgpack.decode(learners[tenant])["keys"]} == {tenant}
        waiting = zip(before.learners.maturing[tenant].pending, after.learners.maturing[tenant].pending, strict=True)
        compared = 0
        for old, new in waiting:
            old_keys = [before.memory.directory.keys[row] for row in old.rows]
            assert [after.memory.directory.keys[row] for row in new.rows] == old_keys
            assert np.array_equal(old.x, new.x)
            compared += len(old_keys)
        assert compared
    assert after.learners.snapshot().keys() == learners.keys()


def test_the_blend_divides_by_the_forecasts_that_are_learned_from() -> None:
    flow = Flow(FlowPlan(), Telemetry())
    assert flow.learners.of("a").blend.tick_s == 5 * 60


def test_gauges_show_the_worst_loss_and_the_mean_weight_of_the_tenants() -> None:
    flow = Flow(FlowPlan(), Telemetry())
    for tenant, hazard in (("red", 0.01), ("blue", 0.4)):
        flow.learners.waiting(tenant)
        said = {"batch": np.full((30, 3), hazard), "prior": np.full((30, 3), 0.1)}
        members = flow.learners.of(tenant)
        members.progressive.learn(said, np.zeros((30, 3)), np.ones((30, 3), bool))
        members.blend.learn(said, np.zeros((30, 3)), np.ones((30, 3), bool))
    flow.learners._show_learning()  # pyright: ignore[reportPrivateUsage]
    assert flow.telemetry.value("log_loss", member="batch", horizon="5min") == pytest.approx(-np.log(0.6))
    weights = [flow.learners.of(tenant).blend.weights["batch"].mean() for tenant in ("red", "blue")]
    assert flow.telemetry.value("blend_weight", member="batch") == pytest.approx(np.mean(weights))


def test_of_many_series_as_many_wait_as_may_and_others_each_time() -> None:
    memory = Memory(MemoryPlan())
    for k in range(11):
        memory.row("default", f"s{k:02d}", WHOLE, 0)
    memory.begin(100)
    for tick in range(101, 126):
        memory.advance(tick)
    learners, x = Learners(memory, Telemetry(), most_rows=4), extract(memory)
    for tick in (125, 130, 135):
        learners.hazards(x, tick)
    waiting = [pending.rows.tolist() for pending in learners.waiting("default").pending]
    assert max(len(rows) for rows in waiting) <= 4
    assert sorted(row for rows in waiting for row in rows) == list(range(11))


def shared(services: range, minutes: int) -> Learners:
    """Return learners of a node that has some services of a tenant, after some minutes in which nothing happened."""
    memory = Memory(MemoryPlan())
    for k in services:
        memory.row("default", f"s{k}", WHOLE, 0)
    memory.begin(100)
    learners = Learners(memory, Telemetry())
    for tick in range(101, 101 + minutes):
        learners.settle(tick, memory.advance(tick).standing)
        learners.hazards(extract(memory), tick)
    return learners


def waiting_of(learners: Learners) -> list[tuple[int, str]]:
    keys = learners.memory.directory.keys
    return [(p.tick, keys[row].service) for p in learners.waiting("default").pending for row in p.rows.tolist()]


@pytest.mark.parametrize(("here", "there"), [(200, 120), (120, 200)])
def test_of_two_nodes_learners_the_more_experienced_are_kept_with_what_waits_of_both(here: int, there: int) -> None:
    ours, theirs = shared(range(2), here), shared(range(2, 4), there)
    n_ours, n_theirs = ours.of("default").online.n_rows, theirs.of("default").online.n_rows
    assert (n_ours > n_theirs) == (here > there)
    assert min(n_ours, n_theirs) > 0
    ours.memory.row("default", "s2", WHOLE, 0)  # of the partition that is handed over; s3 stays where it was
    before, handed = waiting_of(ours), [found for found in waiting_of(theirs) if found[1] == "s2"]
    record = theirs.of("default").recalibration.record(np.array([0]))
    data = theirs.snapshot()["default"]
    for _ in range(2):  # a second time changes nothing
        ours.restore("default", data)
        assert ours.of("default").online.n_rows == max(n_ours, n_theirs)
        assert sorted(waiting_of(ours)) == sorted(before + handed)
    row = ours.memory.directory.find("default", "s2", WHOLE)
    assert record.any()
    assert np.array_equal(ours.of("default").recalibration.record(np.array([row])), record)


def test_a_champion_that_serves_here_goes_on_whichever_learners_are_kept() -> None:
    ours, theirs = shared(range(1), 5), shared(range(1, 2), 200)
    champion = Champion("v1", an_ensemble())
    ours.of("default").promote(champion)
    ours.restore("default", theirs.snapshot()["default"])
    members = ours.of("default")
    assert (members.version, members.champion, members.online.n_rows) == ("v1", champion, theirs.of("default").online.n_rows)
