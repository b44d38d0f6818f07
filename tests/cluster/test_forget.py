"""What was forgotten in a cluster is in no file of its servers any more, and what others have is as it was."""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.auth.audit import AuditLog
from app.cli import app
from app.clock import utc_now
from app.forget import asked_tenant, asked_value, forget_asked, pseudonym
from app.history.delta import DeltaHistory
from app.opening import open_alone
from app.replay import append_markers
from app.settings import Settings
from app.store import jetstream_rewrite
from app.store.jetstream import JetStreamStore
from app.store.jetstream_link import Link
from features.errors import DataInUse, InvalidSetting, InvalidValue, StoreFailed
from tests.app.ingest.requests import a_span, as_json, span_id, traces
from tests.cluster.nodes import Cluster, NodeProcess, Shape
from tests.cluster.servers import Servers
from tests.forgetting import GONE, STAYS, VALUE, fed, forms_of, series_of, spans
from tests.killed import run_and_kill
from tests.nodes import counted, run_node, settings_in, until

pytestmark = pytest.mark.cluster

BUCKETS = (
    "predictions",
    "services",
    "errors",
    "trends",
    "incidents",
    "symptoms",
    "learning",
    "feedback",
    "backtest-pages",
    "models",
)
PACKED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|PK\x03\x04")


@dataclass(frozen=True)
class Place:
    """Three servers and the folder of a node over them."""

    servers: Servers
    data: Path

    @property
    def over(self) -> dict[str, Any]:
        return {
            "nats_url": ",".join(self.servers.urls),
            "cluster__monitor_urls": tuple(self.servers.monitors),
            "cluster__partitions": 8,
            "cluster__streams": 2,
        }

    @property
    def settings(self) -> Settings:
        return settings_in(self.data, **self.over)

    def opened(self) -> JetStreamStore:
        store = open_alone(self.settings)
        assert isinstance(store, JetStreamStore)
        return store

    def files(self) -> list[Path]:
        """Return what servers and node store, without what servers say of themselves in their logs."""
        return sorted(below(*(self.servers.folder / f"data{number}" for number in range(3)), self.data))

    def where(self, text: str) -> list[str]:
        """Return every file that holds a text in any form, or is called so."""
        return [str(file) for file in self.files() if text in file.name or holds(file, text)]

    def groups(self) -> set[str]:
        """Return by what servers agree on the messages of streams: each has its own log of them."""
        return {part for file in self.files() for part in file.parts if part.startswith("S-R3F-")}


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    (tmp_path / "servers").mkdir()
    servers = Servers(tmp_path / "servers")
    yield Place(servers, tmp_path / "data")
    servers.close()


def below(*folders: Path) -> list[Path]:
    """Return all files below folders, from which others may delete meanwhile."""
    return [Path(where) / name for folder in folders for where, _, names in os.walk(folder) for name in names]


def holds(file: Path, text: str) -> bool:
    """Say whether a file holds a text in any form; servers delete files a moment after they say so, also while one is read."""
    with suppress(FileNotFoundError):
        return _holds(file, text)
    return False


def _holds(file: Path, text: str) -> bool:
    if file.suffix == ".parquet" and text in repr(pq.read_table(file).to_pylist()):
        return True
    wanted = (text.encode(), text.encode("utf-32-le"))
    data = file.read_bytes()
    return any(each in form for form in (*forms_of(data), *packed_in(data)) for each in wanted)


def is_gone(place: Place, text: str) -> None:
    """See that no file holds a text; servers delete in the background."""
    until(lambda: not place.where(text), f"that {text} is gone")


def packed_in(data: bytes) -> Iterator[bytes]:
    """Yield what is packed anywhere in a file of messages: gzip, zlib, and entries of archives of arrays."""
    for match in PACKED.finditer(data):
        at, window = match.start(), 47
        if match[0][:2] == b"PK":
            n_name, n_extra = (int.from_bytes(data[at + place : at + place + 2], "little") for place in (26, 28))
            at, window = at + 30 + n_name + n_extra, -15
        with suppress(zlib.error):
            yield zlib.decompressobj(window).decompress(data[at : at + 2**20], 2**22)


def kept(place: Place) -> dict[str, Any]:
    """Return what the cluster and history hold of the tenant that stays."""
    with place.opened() as store:
        documents = {
            f"{bucket} {found.key}": found.value for bucket in BUCKETS for found in store.documents.items(bucket, f"{STAYS}/")
        }
        states = {number: store.checkpoints.redrafted(number, lambda _, state: state).state for number in range(8)}
        blobs = [
            store.blobs.get(json.loads(documents[f"models {STAYS}/versions/{number}"])["artifact_sha256"]) for number in (0, 1)
        ]
    history = DeltaHistory(place.data / "history")
    rows = {
        name: sorted(map(repr, history.read(name, tenant=STAYS).to_pylist()))
        for name in ("windows", "facts", "errors", "predictions")
    }
    assert len(documents) > 20
    assert len(rows["windows"]) > 10
    return {"documents": documents, "blobs": blobs, "series": series_of(states, STAYS), "rows": rows}


def test_a_tenant_is_in_no_file_of_the_servers_any_more_and_another_one_goes_on(place: Place) -> None:
    fed(place.data, **place.over)
    before, groups = kept(place), place.groups()
    assert len({file.split("/data")[1][0] for file in place.where(GONE)} & {"0", "1", "2"}) == 3
    assert any(GONE.encode() in form for file in place.files() for form in packed_in(file.read_bytes())), "and it is seen there"
    done = forget_asked(place.settings, asked_tenant(GONE))
    assert min(done[name] for name in ("entries", "state", "documents", "history")) > 0
    assert done["models"] == 1
    is_gone(place, GONE)
    assert kept(place) == before
    assert not place.groups() & groups, "the logs by which servers agreed are others too"
    for number in range(3):
        place.servers.kill(number)
    is_gone(place, GONE)
    for number in range(3):
        place.servers.start(number)
    assert forget_asked(place.settings, asked_tenant(GONE)).total() == 0, "the second time there is nothing"
    with run_node(place.data, **place.over) as running:
        running.tick(6)
        assert counted(running.node, "total", f"{STAYS}-service-0", tenant=STAYS) == 8
        assert running.node.worker.flow.memory.directory.find(GONE, f"{GONE}-service-0", "*") is None
        for tenant, number in ((GONE, 900), (STAYS, 910)):
            assert running.post("traces", spans(running, number, tenant, "new"), x_scope_orgid=tenant).status_code == 200
        running.tick()
        assert counted(running.node, "total", f"{GONE}-service-0", tenant=GONE) == 2
        assert counted(running.node, "total", f"{STAYS}-service-0", tenant=STAYS) == 10
    for tenant, total in ((GONE, 2), (STAYS, 10)):
        rows = DeltaHistory(place.data / "history").read("windows", tenant=tenant, service=f"{tenant}-service-0").to_pylist()
        assert sum(row["total"] for row in rows if row["operation"] == "*") == total, "no offset was given twice"


def test_a_value_is_in_no_file_of_the_servers_any_more_and_counts_are_as_they_were(place: Place) -> None:
    fed(place.data, **place.over)
    counts = kept(place)["rows"]["windows"]
    assert len(place.where(VALUE)) > 3
    done = forget_asked(place.settings, asked_value("user.id", VALUE))
    assert min(done[name] for name in ("entries", "state", "documents", "history")) > 0
    is_gone(place, VALUE)
    assert kept(place)["rows"]["windows"] == counts
    with pytest.raises(InvalidValue, match="part of the name of a service or operation"):
        forget_asked(place.settings, asked_value("note", f"{STAYS}-service-0"))
    with run_node(place.data, **place.over) as running:
        running.tick(6)
        assert counted(running.node, "total", f"{STAYS}-service-0", tenant=STAYS) == 8
        assert counted(running.node, "errors", f"{STAYS}-service-0", tenant=STAYS) > 0
    is_gone(place, VALUE)


KILLED = """
import sys, threading
from pathlib import Path
from app import forget
from app.history import erase
from app.settings import load_settings
from app.store import jetstream_rewrite

said = []

def told(module, name):
    does = getattr(module, name)
    def does_and_says(*given):
        said.append(name)
        print(name)
        if len(said) == int(sys.argv[3]):
            threading.Event().wait(60)  # the signal comes
        return does(*given)
    setattr(module, name, does_and_says)

for module, name in ((jetstream_rewrite, "place"), (jetstream_rewrite, "_make_anew"), (erase, "remove_tenant"), (jetstream_rewrite, "release")):
    told(module, name)
forget.forget_asked(load_settings(Path(sys.argv[1])), forget.asked_tenant(sys.argv[2]))
"""


@pytest.mark.parametrize(("after_lines", "last"), [(1, "place"), (3, "_make_anew"), (6, "remove_tenant"), (7, "release")])
def test_what_a_kill_left_is_brought_to_its_end_by_the_next_call_and_no_node_starts_before(
    place: Place, after_lines: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_rewrite, "WATCH_S", 1.0)  # nobody else is at it here
    fed(place.data, **place.over)
    before = kept(place)
    cluster = f"[cluster]\nmonitor_urls = {json.dumps(place.servers.monitors)}\npartitions = 8\nstreams = 2\n"
    config = place.data.parent / "config.toml"
    config.write_text(f'data = "{place.data}"\nnats_url = "{",".join(place.servers.urls)}"\n{cluster}', encoding="utf-8")
    assert run_and_kill(KILLED, [config, GONE, after_lines], after_lines=after_lines)[-1] == last
    with pytest.raises(InvalidSetting, match="has begun and not ended"):
        place.opened()
    other = CliRunner().invoke(app, ["forget", "--tenant", STAYS, "--config", str(config)])
    assert other.exit_code != 0
    assert "call it again for that first" in f"{other.output} {other.exception}"
    result = CliRunner().invoke(app, ["forget", "--tenant", GONE, "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("an earlier call that did not end was brought to its end first\nforgot tenant")
    assert "other nodes have their own" in result.stdout
    is_gone(place, GONE)
    assert kept(place) == before
    with place.opened() as store:
        deeds = [deed for deed in AuditLog(store.documents, utc_now, 86_400).deeds() if deed.action == "forget"]
        assert [(deed.outcome, deed.object) for deed in deeds] == [("done", f"tenant {pseudonym(GONE)}")]


def test_it_is_refused_while_a_node_is_a_member_or_a_tick_is_behind_no_checkpoint(place: Place) -> None:
    fed(place.data, **place.over)
    beside = settings_in(place.data.parent / "beside", **place.over)
    with run_node(place.data, **place.over) as running, pytest.raises(DataInUse, match=re.escape(running.node.id)):
        forget_asked(beside, asked_tenant(GONE))
    tick = running.now_ns // 60_000_000_000
    with place.opened() as store:
        append_markers(store.log, range(tick + 10, tick + 12), 60)
    before = kept(place)
    with pytest.raises(InvalidValue, match="must have no tick behind its checkpoint"):
        forget_asked(beside, asked_tenant(GONE))
    assert kept(place) == before
    with run_node(place.data, **place.over) as running:
        running.tick(15)
    forget_asked(beside, asked_tenant(GONE))
    assert {Path(each).relative_to(place.data).parts[0] for each in place.where(GONE)} == {"history"}, (
        "of the node's own folder"
    )
    forget_asked(place.settings, asked_tenant(GONE))
    is_gone(place, GONE)


def test_a_server_that_hangs_or_dies_keeps_nothing_once_it_is_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetstream_rewrite, "WATCH_S", 1.0)
    fed(place.data, **place.over)
    before, groups = kept(place), place.groups()
    place.servers.pause(2)
    with pytest.raises(StoreFailed):
        forget_asked(place.settings, asked_tenant(GONE))
    place.servers.resume(2)
    until(lambda: tried(place), "that it is back")
    is_gone(place, GONE)
    assert kept(place) == before
    place_anew, killed = jetstream_rewrite.place, list[int]()

    def dies_first(link: Link) -> None:
        # Without the one that leads all there is an election first, and perhaps no answer in time.
        leader = httpx.get(f"{place.servers.monitors[0]}/jsz").raise_for_status().json()["meta_cluster"]["leader"]
        killed.append(next(number for number in (2, 1) if leader != f"n{number}"))
        place.servers.kill(killed[0])
        place_anew(link)

    with monkeypatch.context() as patched:
        patched.setattr(jetstream_rewrite, "place", dies_first)
        with pytest.raises(StoreFailed, match=r"n[12] did not take part") as raised:
            forget_asked(place.settings, asked_tenant(STAYS))
    assert f"the servers n{killed[0]} did not" in str(raised.value)
    place.servers.start(killed[0])
    until(lambda: tried(place, STAYS), "that it is back again")
    is_gone(place, STAYS)
    assert not place.groups() & groups


def tried(place: Place, tenant: str = GONE) -> bool:
    with suppress(StoreFailed, DataInUse):  # a server that comes back looks like one that is written to
        forget_asked(place.settings, asked_tenant(tenant))
        return True
    return False


def sent(node: NodeProcess, tenant: str, number: int) -> None:
    at: dict[str, Any] = {"startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns())}
    span = a_span(status={"code": 2, "message": f"of {tenant}"}, **at, traceId=f"{number:032x}", spanId=span_id(number))
    url, headers = (
        f"http://127.0.0.1:{node.ports['http']}/v1/traces",
        {"X-Scope-OrgID": tenant, "content-type": "application/json"},
    )
    body = as_json(traces(span, service=f"{tenant}-service-{number % 5}"))
    httpx.post(url, content=body, headers=headers, timeout=30.0).raise_for_status()


def total(cluster: Cluster, tenant: str) -> int:
    rows = DeltaHistory(cluster.history).read("windows", tenant=tenant).to_pylist()
    return sum(row["total"] for row in rows if row["operation"] == "*")


@pytest.mark.slow
def test_nodes_that_were_killed_are_started_and_stopped_in_order_and_then_nothing_is_in_the_way(tmp_path: Path) -> None:
    with closing(Cluster(tmp_path, Shape(nodes=2, partitions=4, streams=2))) as cluster:
        numbers = iter(range(1, 1000))

        def send(each: int) -> int:
            for number in (next(numbers) for _ in range(each)):
                for place, tenant in enumerate((GONE, STAYS)):
                    sent(cluster.nodes[number % 2], tenant, 2 * number + place)
            return each

        def forget(tenant: str) -> str:
            asked = ["forget", "--tenant", tenant, "--config", str(cluster.nodes[0].folder / "config.toml"), "--json"]
            answer = CliRunner().invoke(app, asked)
            return answer.output or str(answer.exception)

        n = send(40)
        until(lambda: total(cluster, STAYS) > 0, "the first checkpoint")
        n += send(20)
        for node in cluster.nodes:
            node.kill()
        assert "got node0, node1: stop them first" in forget(GONE)
        for node in cluster.nodes:
            node.start()
        for node in cluster.nodes:
            node.until_ready()
        n += send(20)
        until(lambda: total(cluster, STAYS) > 40, "what was behind the checkpoint")
        n += send(10)
        for node in cluster.nodes:
            node.terminate()
        done = json.loads(forget(GONE))
        assert done["history"] > 0
        kept_by = [*(tmp_path / "servers").glob("data*"), *tmp_path.glob("node*/data"), cluster.history]
        assert len(below(*kept_by)) > 50
        until(lambda: not any(holds(file, GONE) for file in below(*kept_by)), "that it is gone")
        assert {file.name for file in (cluster.nodes[1].folder / "data").rglob("*")} <= {"lock", "node", "signing.key"}
        for node in cluster.nodes:
            node.start()
        for node in cluster.nodes:
            node.until_ready()
        n += send(10)
        until(lambda: total(cluster, STAYS) >= n and total(cluster, GONE) >= 10, "that all is counted")
        assert (total(cluster, STAYS), total(cluster, GONE)) == (n, 10)
