"""Who wants which partitions when, over a real store and a clock that moves when it is told to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.cache.member_records import MEMBERS, Member, decode_member, encode_member
from app.membership import Membership
from app.ownership import OwnershipPlan
from features.errors import InvalidSetting
from tests.owners import HEARTBEAT_S, TTL_S, ANode, Fence, Holding, Monotonic, Unsteady, a_member, documents_of

N = 16
ALL = frozenset(range(N))
BEATS = round(TTL_S / HEARTBEAT_S)


class Cluster:
    """Nodes over one store. Each beat every running one looks, and every holder reaches the end of a tick."""

    def __init__(self, folder: Path, strategy: str = "even", heartbeat_s: float = HEARTBEAT_S) -> None:
        self.heartbeat_s = heartbeat_s
        self.opened = ExitStack()
        self.documents = Unsteady(self.opened.enter_context(documents_of(folder)))
        self.clock = Monotonic()
        self.fence = Fence()
        self.plan = OwnershipPlan(N, strategy)
        self.running: dict[str, ANode] = {}
        self.starts = 0

    def start(self, name: str, weight: float = 1.0) -> ANode:
        self.starts += 1
        me = a_member(name, str(self.starts), weight=weight, started_at=float(self.starts))
        return self.add(me)

    def add(self, me: Member) -> ANode:
        heartbeat_s, ttl_s = self.heartbeat_s, BEATS * self.heartbeat_s
        membership = Membership(self.documents, me, heartbeat_s=heartbeat_s, ttl_s=ttl_s, monotonic=self.clock)
        node = self.running[me.id] = ANode(membership, self.fence, self.plan, self.clock)
        self.opened.callback(node.close)
        return node

    def beat(self, n: int = 1, ticks: bool = True) -> None:
        for _ in range(n):
            self.clock.pass_by(self.heartbeat_s)
            for node in list(self.running.values()):
                node.ownership.look()
            for node in self.running.values() if ticks else ():
                node.holder.tick()
            self.check()

    def check(self) -> None:
        """No partition is wanted or held by two."""
        for what in ("held", "wanted"):
            count = Counter(n for node in self.running.values() for n in getattr(node.holder, what))
            assert [n for n, times in count.items() if times > 1] == [], what

    def holders(self) -> dict[int, str]:
        return {n: node.id for node in self.running.values() for n in node.holder.held}

    def settle(self) -> dict[int, str]:
        self.beat(2 * BEATS + 4)
        assert set(self.holders()) == ALL
        return self.holders()


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[Cluster]:
    made = Cluster(tmp_path / "data")
    with made.opened:
        yield made


def test_a_node_alone_takes_everything_after_it_listened(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.beat(BEATS)
    assert a.holder.held == frozenset()
    cluster.beat(1)
    assert a.holder.held == ALL
    cluster.beat(1)
    there = cluster.documents.get(MEMBERS, "a")
    assert there is not None
    said = decode_member(there.value)
    assert (said.held, said.claimed, said.lag, said.tick, said.handovers) == (tuple(range(N)), (), 7, 60.0, N)
    nodes = a.ownership.nodes()
    assert (nodes.leader, nodes.unheld, [state.state for state in nodes.states]) == ("a", [], ["alive"])
    assert a.telemetry.values("handovers") == {"start": N}
    assert a.telemetry.value("partitions_held") == N
    assert a.telemetry.value("members", state="alive") == 1


def test_nodes_that_start_together_share_without_moving_anything(cluster: Cluster) -> None:
    for name in "abc":
        cluster.start(name)
    cluster.settle()
    assert [node.telemetry.values("handovers") for node in cluster.running.values()] == [
        {"start": float(len(node.holder.held))} for node in cluster.running.values()
    ]
    assert all(4 <= len(node.holder.held) <= 7 for node in cluster.running.values())


def test_a_join_moves_few_partitions_and_none_is_without_a_holder_while_it_listens(cluster: Cluster) -> None:
    for name in "abc":
        cluster.start(name)
    before = cluster.settle()
    d = cluster.start("d")
    meanwhile: list[dict[int, str]] = []
    for _ in range(BEATS):
        cluster.beat()
        meanwhile.append(cluster.holders())
    after = cluster.settle()
    assert all(each.get(n) == before[n] for each in meanwhile for n in ALL if after[n] == "d")
    moved = [n for n in ALL if before[n] != after[n]]
    assert len(d.holder.held) <= len(moved) <= len(d.holder.held) + 2
    assert d.telemetry.values("handovers") == {"move": float(len(d.holder.held))}


def test_a_partition_is_wanted_only_once_who_had_it_let_go(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.settle()
    b = cluster.start("b")
    cluster.beat(3 * BEATS, ticks=False)
    moving = a.holder.held - a.holder.wanted
    assert moving
    assert b.holder.wanted == frozenset()
    a.holder.tick()
    a.ownership.look()
    b.ownership.look()
    assert b.holder.wanted == moving


def test_a_planned_stop_hands_everything_over(cluster: Cluster) -> None:
    for name in "abc":
        cluster.start(name)
    cluster.settle()
    c = cluster.running.pop("c")
    had = c.holder.held
    assert not c.ownership.leave(0.0), "there was no end of a tick"
    cluster.start("d")
    cluster.settle()
    d = cluster.running.pop("d")
    done = threading.Thread(target=d.ownership.leave, args=(1e9,), daemon=True)
    done.start()
    until(lambda: not d.holder.wanted)
    others = list(cluster.running.values())
    for node in others:
        node.ownership.look()
        assert not node.holder.wanted & d.holder.held, "it has not let go yet"
    assert [s.state for s in others[0].ownership.nodes().states] == ["alive", "alive", "leaving"]
    d.holder.tick()
    d.ownership.poke()
    done.join(10.0)
    assert not done.is_alive()
    for node in others:
        node.ownership.look()
    assert set(cluster.holders()) == ALL, "the first look after it took everything over"
    cluster.beat()
    assert sum(node.telemetry.value("handovers", reason="leave") for node in others) >= len(had)
    assert all(node.telemetry.value("handovers", reason="death") == 0 for node in others)
    d.ownership.look()
    assert cluster.documents.get(MEMBERS, "d") is None, "who left beats no more"


def test_what_a_dead_member_held_is_wanted_within_its_time_to_live_and_two_beats(cluster: Cluster) -> None:
    for name in "abc":
        cluster.start(name)
    before = cluster.settle()
    dead = cluster.running.pop("b")
    cluster.beat(BEATS - 1)
    assert set(cluster.holders()) == ALL - dead.holder.held
    cluster.beat(3)
    after = cluster.holders()
    assert set(after) == ALL
    kept = [n for n in ALL if before[n] != "b"]
    assert sum(before[n] != after[n] for n in kept) <= 2
    taken = sum(node.telemetry.value("handovers", reason="death") for node in cluster.running.values())
    cluster.beat()
    assert sum(node.telemetry.value("handovers", reason="death") for node in cluster.running.values()) >= taken
    assert len(dead.holder.held) <= sum(n.telemetry.value("handovers", reason="death") for n in cluster.running.values())
    assert cluster.running["a"].ownership.nodes().states[1].state == "dead"


def test_a_restart_under_the_same_name_comes_back(cluster: Cluster) -> None:
    for name in "ab":
        cluster.start(name)
    before = cluster.settle()
    cluster.running.pop("b")
    cluster.start("b")
    assert cluster.settle() == before


def test_who_is_started_after_a_kill_and_stopped_at_once_leaves_nothing_of_the_process_before(cluster: Cluster) -> None:
    cluster.start("a")
    cluster.settle()
    for name_s, left in ((TTL_S / 2, True), (2 * TTL_S, False)):
        cluster.running.pop("a", None)
        ownership = cluster.start("a").ownership
        done = threading.Thread(target=ownership.leave, args=(0.0, name_s), daemon=True)
        done.start()
        while done.is_alive():
            ownership.poke()
            cluster.clock.pass_by(HEARTBEAT_S / 4)
            done.join(0.01)
        assert (cluster.documents.get(MEMBERS, "a") is not None) == left


def test_a_node_that_was_paused_wants_nothing_that_others_took(cluster: Cluster) -> None:
    for name in "ab":
        cluster.start(name)
    cluster.settle()
    a = cluster.running.pop("a")
    had = a.holder.held
    cluster.beat(120)
    b = cluster.running["b"]
    assert b.holder.held == ALL
    a.ownership.look()
    assert a.holder.wanted == frozenset(), "not even before it noticed that it was fenced"
    a.holder.tick()
    cluster.running["a"] = a
    assert b.telemetry.value("handovers", reason="fenced") == 0
    cluster.settle()
    assert a.holder.held == had


def test_a_node_that_was_paused_between_its_beat_and_what_follows_wants_nothing_new(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.beat(BEATS)
    there = a.membership.beat

    def beat(me: Member) -> bool:
        answer = there(me)
        cluster.clock.pass_by(60.0)
        return answer

    cluster.clock.pass_by(HEARTBEAT_S)
    a.membership.beat = beat
    a.ownership.look()
    assert a.holder.wanted == frozenset()


def test_a_fenced_node_goes_on(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.settle()
    other = Holding(cluster.fence)
    other.want(frozenset({3}))
    a.holder.tick()
    assert a.holder.held == frozenset()
    cluster.beat(2)
    assert a.holder.held == ALL
    assert a.telemetry.value("handovers", reason="fenced") == N


def test_nothing_changes_while_the_store_refuses(cluster: Cluster) -> None:
    for name in "ab":
        cluster.start(name)
    before = cluster.settle()
    cluster.documents.refuses = True
    cluster.beat(10 * BEATS)
    assert cluster.holders() == before
    cluster.documents.refuses = False
    assert cluster.settle() == before
    assert all(list(node.telemetry.values("handovers")) == ["start"] for node in cluster.running.values())


def test_a_lost_answer_of_a_claim_takes_nothing_and_loses_nothing(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.beat(BEATS)
    cluster.clock.pass_by(HEARTBEAT_S)
    told: list[Member] = []
    there = a.membership.beat

    def beat(me: Member) -> bool:
        told.append(me)
        cluster.documents.loses_answers = len(told) == 2
        return there(me)

    a.membership.beat = beat
    a.ownership.look()
    assert (told[1].claimed, a.holder.wanted) == (tuple(range(N)), frozenset())
    cluster.settle()


def test_two_that_claim_at_once_agree_by_their_names(cluster: Cluster) -> None:
    b = cluster.start("b")
    cluster.beat(BEATS)
    rivals = {"a": frozenset({1, 2}), "c": frozenset({3, 4})}
    there = b.membership.beat

    def beat(me: Member) -> bool:
        if me.claimed:  # the others' claims come in while this one is written
            for name, claimed in rivals.items():
                member = Member(name, "x", roles=("api",), claimed=tuple(claimed))
                cluster.documents.put(MEMBERS, name, encode_member(member))
        return there(me)

    cluster.clock.pass_by(HEARTBEAT_S)
    b.membership.beat = beat
    b.ownership.look()
    assert b.holder.wanted == ALL - rivals["a"]


def test_a_second_process_of_the_same_name_ends_and_lets_go(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.settle()
    cluster.running.pop("a")
    cluster.start("a")
    cluster.settle()
    with pytest.raises(InvalidSetting, match="node id 'a'"):
        a.ownership.look()
    assert a.holder.wanted == frozenset()


def test_weights_count_where_they_should(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "weighted")
    with cluster.opened:
        cluster.start("a", weight=3.0)
        cluster.start("b", weight=1.0)
        cluster.settle()
        assert 10 <= len(cluster.running["a"].holder.held) <= 14


def test_lasting_loads_move_partitions_and_short_ones_do_not(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "least_loaded", heartbeat_s=30.0)
    with cluster.opened:
        a, b = cluster.start("a"), cluster.start("b")
        before = cluster.settle()
        busy = sorted(n for n in ALL if before[n] == "a")
        for node in (a, b):
            node.holder.rates = dict.fromkeys(ALL, 1.0)
        cluster.beat(20)
        for rate, beats in ((5.0, 1), (1.0, 20)):  # a burst in one beat of ten
            a.holder.rates = dict.fromkeys(ALL, 1.0) | dict.fromkeys(busy[:4], rate)
            cluster.beat(beats)
        assert cluster.holders() == before
        for node in (a, b):
            node.holder.rates = {n: 1000.0 if n in busy[:4] else 1.0 for n in ALL}
        cluster.beat(15)
        after = cluster.settle()
        assert Counter(after[n] for n in busy[:4]) == {"a": 2, "b": 2}
        moves = a.telemetry.value("handovers", reason="move") + b.telemetry.value("handovers", reason="move")
        cluster.beat(60)
        assert moves == sum(node.telemetry.value("handovers", reason="move") for node in (a, b)), "and then nothing moves"


def test_while_strategies_differ_that_of_the_first_counts(cluster: Cluster) -> None:
    cluster.start("a", weight=9.0)
    cluster.plan = OwnershipPlan(N, "weighted")
    cluster.start("b")
    cluster.settle()
    assert 7 <= len(cluster.running["a"].holder.held) <= 9
    cluster.running.pop("a").ownership.leave(0.0)
    cluster.start("a", weight=9.0)
    cluster.settle()
    assert len(cluster.running["a"].holder.held) >= 13


def test_who_does_not_work_holds_nothing(cluster: Cluster) -> None:
    a = cluster.start("a")
    cluster.settle()
    api = cluster.add(Member("api", "1", roles=("api",)))
    cluster.settle()
    assert (a.holder.held, api.holder.held) == (ALL, frozenset())
    assert [state.member.id for state in api.ownership.nodes().states] == ["a", "api"]
    cluster.running.pop("a")
    cluster.beat(3 * BEATS)
    assert api.ownership.nodes().unheld == sorted(ALL)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"cluster.placement must be one of .*'round_robin'"):
        OwnershipPlan(4, "round_robin")
    with pytest.raises(InvalidSetting, match="at least 1, got 0"):
        OwnershipPlan(0)


def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_threads_hand_over_as_soon_as_something_is_let_go(tmp_path: Path) -> None:
    """The loop itself, on the wall's clock: what is let go is taken long before the next heartbeat."""
    with documents_of(tmp_path) as documents:
        fence, plan, stop = Fence(), OwnershipPlan(N), threading.Event()
        a, b = (ANode(Membership(documents, a_member(name)), fence, plan) for name in "ab")
        threads = [threading.Thread(target=node.ownership.run, args=(stop,), daemon=True) for node in (a, b)]
        for thread in threads:
            thread.start()
        until(lambda: a.holder.held | b.holder.held == ALL)
        b.membership.heartbeat_s = 1000.0  # from its next one on it has no reason of its own to look
        time.sleep(2 * a.membership.heartbeat_s)
        leaving = threading.Thread(target=a.ownership.leave, args=(60.0,), daemon=True)
        leaving.start()
        until(lambda: not a.holder.wanted)
        a.holder.tick()
        until(lambda: b.holder.held == ALL)
        stop.set()
        for thread in (leaving, *threads):
            thread.join(10.0)
            assert not thread.is_alive()
        a.close()
        b.close()


def test_a_look_that_fails_is_counted_and_the_next_one_comes(tmp_path: Path) -> None:
    with documents_of(tmp_path) as documents:
        node = ANode(Membership(documents, a_member("a")), Fence(), OwnershipPlan(N))
        looks = list[int]()

        def lag() -> int:
            looks.append(1)
            raise ValueError("no partition 3")

        node.holder.lag = lag
        stop = threading.Event()
        thread = threading.Thread(target=node.ownership.run, args=(stop,), daemon=True)
        thread.start()
        node.holder.want(frozenset({1}))  # which cannot be said
        began = time.monotonic()
        until(lambda: len(looks) > 4)
        assert time.monotonic() - began > 2 * HEARTBEAT_S, "it is not tried at once again and again"
        assert not node.ownership.leave(0.0), "and no reason to stay"
        stop.set()
        thread.join(10.0)
        assert node.telemetry.value("faults", place="ownership") >= 2
        node.close()


class OwnershipMachine(RuleBasedStateMachine):
    """Whatever nodes do, no partition is held by two that live, and in the end each is held once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.cluster = Cluster(Path(self.folder.name))
        self.paused: dict[str, tuple[ANode, float]] = {}
        self.unaware: set[str] = (
            set()
        )  # were away for longer than their time to live, and did not reach the end of a tick since
        self.fresh = 0

    def teardown(self) -> None:
        self.cluster.documents.refuses = False
        for name in list(self.paused):
            self.resume(name)
        if self.cluster.running:
            self.end_ticks()
            self.unaware.clear()
            self.cluster.settle()
        self.cluster.opened.close()
        self.folder.cleanup()

    def resume(self, name: str) -> None:
        node, since_s = self.paused.pop(name)
        self.cluster.running[name] = node
        if self.cluster.clock() - since_s > TTL_S - HEARTBEAT_S:  # it beat a moment before it was paused
            self.unaware.add(name)

    def end_ticks(self) -> None:
        for node in self.cluster.running.values():
            node.holder.tick()
        self.unaware -= set(self.cluster.running)

    @rule()
    @precondition(lambda self: len(self.cluster.running) + len(self.paused) < 5)
    def join(self) -> None:
        self.fresh += 1
        self.cluster.start(f"n{self.fresh}")

    @rule(data=st.data())
    @precondition(lambda self: self.cluster.running)
    def die(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.running)))
        self.cluster.running.pop(name)
        if data.draw(st.booleans(), "starts again at once"):
            self.cluster.start(name)
        self.unaware.discard(name)

    @rule(data=st.data())
    @precondition(lambda self: self.cluster.running)
    def pause(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.running)))
        self.paused[name] = self.cluster.running.pop(name), self.cluster.clock()

    @rule(data=st.data())
    @precondition(lambda self: self.paused)
    def go_on(self, data: st.DataObject) -> None:
        self.resume(data.draw(st.sampled_from(sorted(self.paused))))

    @rule(data=st.data())
    @precondition(lambda self: self.cluster.running)
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.running)))
        self.cluster.running.pop(name).ownership.leave(0.0)
        self.unaware.discard(name)

    @rule(refuses=st.booleans())
    def refuse(self, refuses: bool) -> None:
        self.cluster.documents.refuses = refuses

    @rule(n=st.integers(1, 8), order=st.permutations(range(8)), ticks=st.booleans())
    def beat(self, n: int, order: list[int], ticks: bool) -> None:
        for _ in range(n):
            self.cluster.clock.pass_by(HEARTBEAT_S)
            nodes = sorted(self.cluster.running.values(), key=lambda node: order[int(node.id[1:]) % 8])
            for node in nodes:
                node.ownership.look()
                self.nobody_shares()
                if node.id in self.unaware and not self.cluster.documents.refuses:
                    taken = {
                        n for name, each in self.cluster.running.items() if name not in self.unaware for n in each.holder.held
                    }
                    assert not node.holder.wanted & taken, "the first look after a pause wants nothing that others took"
            if ticks:
                self.end_ticks()
            self.nobody_shares()

    @invariant()
    def nobody_shares(self) -> None:
        now_s = self.cluster.clock()
        nodes = [node for node, since_s in self.paused.values() if now_s - since_s < TTL_S - HEARTBEAT_S]
        nodes += [node for name, node in self.cluster.running.items() if name not in self.unaware]
        for what in ("held", "wanted"):
            count = Counter(n for node in nodes for n in getattr(node.holder, what))
            assert [n for n, times in count.items() if times > 1] == [], what


OwnershipMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestOwnershipMachine = OwnershipMachine.TestCase
