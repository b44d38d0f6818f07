"""A node's folder is moved into a cluster of real servers: nothing is lost, nothing counts twice, and whatever is killed can be done again."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.migrate_command import migrate
from app.history.delta import DeltaHistory
from app.main import Node, history_place
from app.opening import join_target
from app.replay import append_markers
from app.store import moving
from app.store.contract import Commit
from app.store.moving import MOVED_FILE
from features.errors import DataInUse, InvalidSetting, InvalidValue, StoreFailed
from tests.cluster.servers import Servers
from tests.cluster.test_node import SPANS, spans
from tests.killed import run_and_kill
from tests.nodes import TICK_NS, RunningNode, counted, history_rows, run_node, settings_in, until
from tests.object_store import object_store

pytestmark = pytest.mark.cluster


@pytest.fixture(params=[1])
def servers(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Servers]:
    folder = tmp_path / "servers"
    folder.mkdir()
    started = Servers(folder, request.param)
    yield started
    started.close()


def cluster_of(servers: Servers) -> dict[str, Any]:
    return {"cluster__monitor_urls": tuple(servers.monitors), "cluster__streams": 2, "cluster__replicas": len(servers.urls)}


def on_cluster(servers: Servers) -> dict[str, Any]:
    return {**cluster_of(servers), "nats_url": ",".join(servers.urls), "cluster__partitions": 8}


def moved(folder: Path, servers: Servers) -> dict[str, Any]:
    return migrate(settings_in(folder, **cluster_of(servers)), ",".join(servers.urls), lambda _share, _text: None)[0]


def send(running: RunningNode, first: int) -> int:
    assert running.post("traces", spans(running.now_ns, first)).status_code == 200
    return first + SPANS


def end_minute(running: RunningNode) -> None:
    """End a minute without the checkpoint that `RunningNode.tick` makes: a node makes one every five minutes."""
    tick, worker = running.now_ns // TICK_NS + 1, running.node.worker
    append_markers(running.node.store.log, range(tick, tick + 1), 60)
    running.clock_ns[0] = tick * TICK_NS
    until(lambda: worker.flow.memory.tick == tick and worker.published and not worker.lag(), f"tick {tick}")


def fed(running: RunningNode) -> int:
    """Send some minutes, the last of which has not ended, and leave feedback."""
    sent = 0
    for minute in range(5):
        sent = send(running, sent)
        end_minute(running)
        if minute == 1:
            running.node.worker.checkpoint()
    prediction = running.get("/api/v1/predictions/shop")
    verdict = {"verdict": "false_alarm", "prediction_id": prediction["id"], "who": "ann"}
    answer = running.client.post(f"{running.served.api}/api/v1/feedback", json=verdict)
    assert answer.status_code in {200, 201}, answer.text
    return send(running, sent)


def seen(running: RunningNode) -> dict[str, Any]:
    """Return what the API says of what must stay as it was."""
    return {path: running.get(f"/api/v1/{path}") for path in ("incidents", "feedback", "models", "training-runs")}


@pytest.mark.parametrize("servers", [3], indirect=True)
def test_a_stopped_node_goes_on_in_the_cluster_without_a_gap_or_a_repeat(tmp_path: Path, servers: Servers) -> None:
    folder = tmp_path / "data"
    with run_node(folder, store__checkpoint_s=3600) as before:  # so that much lies above the last checkpoint
        sent = fed(before)
        said = seen(before)
        prediction = before.get("/api/v1/predictions/shop")
        model = before.node.store.blobs.put(b"a model's bytes")
    report = moved(folder, servers)
    assert report["blobs"] == 1
    assert report["entries"] >= 1  # the minute that has not ended
    rows, tables = history_rows(folder), {name: history_rows(folder, name) for name in ("errors", "incidents", "predictions")}
    with run_node(folder, **on_cluster(servers)) as after:
        after.clock_ns[0] = before.now_ns
        assert seen(after) == said
        # Read again from the log, the tick knows the verdict at once and need not be made anew.
        assert after.get("/api/v1/predictions/shop")["id"] == prediction["id"].partition("~")[0]
        assert after.node.store.blobs.get(model) == b"a model's bytes"
        assert counted(after.node, "total", "shop") == sent - SPANS  # of ticks that ended
        repeated = spans(before.now_ns, sent - SPANS)
        assert after.post("traces", repeated).status_code == 200  # a sender that had no answer sends again: it counts once
        after.tick()
        assert counted(after.node, "total", "shop") == sent
        sent = send(after, sent)
        after.tick()
        assert counted(after.node, "total", "shop") == sent
        assert set(rows) < set(history_rows(folder))
        for name, known in tables.items():
            found = history_rows(folder, name)
            assert len(found) == len(set(found))
            assert set(known) <= set(found)
        windows = after.node.history.read("windows", columns=["service", "operation", "window", "total"]).to_pylist()
        whole = [row for row in windows if (row["service"], row["operation"]) == ("shop", "*")]
        assert sum(row["total"] for row in whole) == sent
        assert len({row["window"] for row in whole}) == len(whole)


def test_a_node_that_was_killed_between_history_and_checkpoint_leaves_no_row_twice(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    with run_node(folder, store__checkpoint_s=3600) as before:
        sent = send(before, 0)
        end_minute(before)
        checkpoints = before.node.store.checkpoints
        commits = checkpoints.commit_all

        def dies_at_the_state(given: Sequence[Commit]) -> list[int]:
            if any(commit.changed_state for commit in given):
                raise StoreFailed("killed")
            return commits(given)

        sent = send(before, sent)
        end_minute(before)
        monkeypatch.setattr(checkpoints, "commit_all", dies_at_the_state)
        with pytest.raises(StoreFailed, match="killed"):
            before.node.worker.checkpoint()
        rows = history_rows(folder)
        assert rows
    moved(folder, servers)
    assert history_rows(folder) == rows
    with run_node(folder, **on_cluster(servers)) as after:
        after.clock_ns[0] = before.now_ns
        sent = send(after, sent)
        after.tick()
        found = history_rows(folder)
        assert set(rows) < set(found)
        windows = after.node.history.read("windows", columns=["service", "operation", "window", "total"]).to_pylist()
        assert sum(row["total"] for row in windows if (row["service"], row["operation"]) == ("shop", "*")) == sent


@pytest.mark.parametrize("step", ["put_mark", "append_rest", "say_moved"])
def test_a_move_that_was_killed_is_done_again_to_the_same_end(
    tmp_path: Path, servers: Servers, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    with run_node(folder, store__checkpoint_s=3600) as before:
        sent = fed(before)
    where = "app.commands.migrate_command.say_moved" if step == "say_moved" else f"app.store.moving._{step}"
    calls: list[object] = []
    real = getattr(moving, where.rpartition(".")[2])

    def dies(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if step != "append_rest" or len(calls) > 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(where, dies)
        with pytest.raises(KeyboardInterrupt):
            moved(folder, servers)
    if step == "append_rest":
        with pytest.raises(InvalidSetting, match="moved in part"), run_node(tmp_path / "other", **on_cluster(servers)):
            pass
    report = moved(folder, servers)
    assert (report["documents"] == 0) is (step == "say_moved")  # all of it was there
    with run_node(folder, **on_cluster(servers)) as after:
        after.clock_ns[0] = before.now_ns
        after.tick()
        assert counted(after.node, "total", "shop") == sent


def test_a_cluster_with_other_data_and_a_folder_in_use_are_refused(tmp_path: Path, servers: Servers) -> None:
    folder = tmp_path / "data"
    with run_node(folder) as running:
        send(running, 0)
        with pytest.raises(DataInUse):
            moved(folder, servers)
    with run_node(tmp_path / "other", **on_cluster(servers)):
        pass
    with pytest.raises(InvalidValue, match=r"the cluster must be empty, got \d+ messages"):
        moved(folder, servers)
    assert not (folder / MOVED_FILE).exists()
    with run_node(folder) as again:  # it is as it was
        again.clock_ns[0] = running.now_ns
        again.tick()
        assert counted(again.node, "total", "shop") == SPANS


def test_a_moved_folder_serves_no_more_and_the_refusal_says_the_way_back(tmp_path: Path, servers: Servers) -> None:
    folder = tmp_path / "data"
    with run_node(folder) as running:
        send(running, 0)
    moved(folder, servers)
    with pytest.raises(InvalidSetting, match=r"was moved there at .* remove .*moved\.json"), run_node(folder):
        pass
    assert json.loads((folder / MOVED_FILE).read_bytes())["to"] == ",".join(servers.urls)
    with pytest.raises(InvalidSetting, match="was moved there"):
        moved(folder, servers)
    (folder / MOVED_FILE).unlink()
    with run_node(folder) as back:
        back.clock_ns[0] = running.now_ns
        back.tick()
        assert counted(back.node, "total", "shop") == SPANS
    with join_target_of(folder, servers) as target:
        assert target > 0


@pytest.mark.parametrize("noted", [True, False])
def test_a_folder_that_took_in_more_after_its_move_is_not_taken_for_moved(
    tmp_path: Path, servers: Servers, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in meanwhile, after the way back or where the move died just before it was noted, is in the folder alone."""
    folder = tmp_path / "data"
    with run_node(folder) as running:
        sent = send(running, 0)
    if noted:
        moved(folder, servers)
        (folder / MOVED_FILE).unlink()
    else:

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("app.commands.migrate_command.say_moved", dies)
            with pytest.raises(KeyboardInterrupt):
                moved(folder, servers)
    with run_node(folder) as back:
        back.clock_ns[0] = running.now_ns
        send(back, sent)
    with pytest.raises(InvalidValue, match=r"must hold the folder as it is, .*: a node went on with the folder since"):
        moved(folder, servers)
    assert not (folder / MOVED_FILE).exists()


def in_a_store() -> dict[str, Any]:
    store = object_store()
    return {"history_url": store.place(), **{f"history_options.{name}": value for name, value in store.options.items()}}


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def windows_of(node: Node) -> list[dict[str, Any]]:
    """Return the windows of the shop as history has them."""
    found = node.history.read("windows", columns=["service", "operation", "window", "total"]).to_pylist()
    return [row for row in found if (row["service"], row["operation"]) == ("shop", "*")]


def explained(running: RunningNode, at_s: int) -> Any:
    """Return what REST says of an instant long gone, which it reads in history."""
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = running.get(f"/api/v1/alerts:explain?service=shop&at={at}")["routes"]
    assert found
    assert all(one["verdict"] != "no_data" for one in found)
    return found


@pytest.mark.parametrize("dies_at", ["", "app.store.moving._append_rest", "app.commands.migrate_command.say_moved"])
def test_history_goes_to_an_object_store_in_the_same_call_and_the_node_goes_on_there(
    tmp_path: Path, servers: Servers, dies_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, over = tmp_path / "data", in_a_store()
    with run_node(folder, store__checkpoint_s=3600) as before:
        sent = fed(before)
        end_minute(before)  # while something is gathered no checkpoint is made
        before.node.worker.checkpoint()
        old_s = before.now_ns // 10**9 - 60
        said, told = seen(before), explained(before, old_s)
        sent = send(before, sent)
        end_minute(before)  # so that rows are above what is copied
    known = history_rows(folder)
    settings = settings_in(folder, **cluster_of(servers), **over)
    shares: list[tuple[float, str]] = []

    def move() -> tuple[dict[str, Any], str]:
        return migrate(settings, ",".join(servers.urls), lambda share, text: shares.append((share, text)))

    if dies_at:

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(dies_at, dies)
            with pytest.raises(KeyboardInterrupt):
                move()
        shares.clear()
    report, table = move()
    rows, files = history_rows(folder), below(folder / "history")
    assert set(known) < set(rows)  # of the last minute too, for who goes back to the folder
    n_files = 0 if dies_at else len(files)  # it was there
    assert (report["files"], report["history"]) == (n_files, over["history_url"])
    assert f"{n_files} files, {report['rows']} rows of history to {over['history_url']}" in table
    assert "with history_url as it is, on this folder: signing.key stays in it" in table
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert {text for _, text in shares} == {"copying history", "reading the log to its last tick", "copying"}
    assert shares[-1][0] == 1.0
    assert below(folder / "history") == files
    there = DeltaHistory(*history_place(settings))
    assert set(rows) <= {tuple(map(repr, row.values())) for row in there.read("windows").drop_columns(["offset"]).to_pylist()}
    with run_node(folder, **on_cluster(servers), **over) as after:
        after.clock_ns[0] = before.now_ns
        assert seen(after) == said
        assert explained(after, old_s) == told
        assert counted(after.node, "total", "shop") == sent
        sent = send(after, sent)
        after.tick()
        windows = windows_of(after.node)
        assert sum(row["total"] for row in windows) == sent
        assert len({row["window"] for row in windows}) == len(windows)
    assert below(folder / "history") == files
    (folder / MOVED_FILE).unlink()
    with run_node(folder) as back:  # to the folder as it was then, its history too
        back.clock_ns[0] = before.now_ns
        back.tick()
        assert sum(row["total"] for row in windows_of(back.node)) == counted(back.node, "total", "shop") == sent - SPANS


MIGRATE = """
import json, sys
from pathlib import Path
from app.commands.migrate_command import migrate
from tests.nodes import settings_in
settings = settings_in(Path(sys.argv[1]), **json.loads(sys.argv[2]))
migrate(settings, sys.argv[3], lambda share, text: print(share, text, flush=True))
"""


def test_a_command_that_is_killed_again_and_again_ends_whole(tmp_path: Path, servers: Servers) -> None:
    folder, over = tmp_path / "data", in_a_store()
    with run_node(folder, store__checkpoint_s=3600) as before:
        sent = fed(before)
    urls, given = ",".join(servers.urls), {**cluster_of(servers), **over}
    for after_lines in (2, 8, 14):  # while history is on its way, its log is, and state is
        run_and_kill(MIGRATE, [folder, json.dumps(given), urls], after_lines=after_lines)
        assert not (folder / MOVED_FILE).exists()
    migrate(settings_in(folder, **given), urls, lambda _share, _text: None)
    with run_node(folder, **on_cluster(servers), **over) as after:
        after.clock_ns[0] = before.now_ns
        after.tick()
        assert counted(after.node, "total", "shop") == sent
        windows = windows_of(after.node)
        assert sum(row["total"] for row in windows) == sent
        assert len({row["window"] for row in windows}) == len(windows)


def test_history_alone_goes_first_and_the_rest_later(tmp_path: Path, servers: Servers) -> None:
    folder, over = tmp_path / "data", in_a_store()
    with run_node(folder) as before:
        sent = send(before, 0)
        before.tick()
        with pytest.raises(DataInUse):
            migrate(settings_in(folder, **over), None, lambda _share, _text: None)
    files = below(folder / "history")
    report, table = migrate(settings_in(folder, **over), None, lambda _share, _text: None)
    assert report["files"] == len(files)
    assert "now start the node with history_url as it is" in table
    assert not (folder / MOVED_FILE).exists()
    with run_node(folder, **over) as alone:
        alone.clock_ns[0] = before.now_ns
        sent = send(alone, sent)
        alone.tick()
        assert sum(row["total"] for row in windows_of(alone.node)) == sent
    report, _ = migrate(settings_in(folder, **cluster_of(servers), **over), ",".join(servers.urls), lambda _share, _text: None)
    assert (report["tables"], report["files"]) == (0, 0)  # it went on there
    with run_node(folder, **on_cluster(servers), **over) as after:
        after.clock_ns[0] = alone.now_ns
        sent = send(after, sent)
        after.tick()
        assert sum(row["total"] for row in windows_of(after.node)) == sent
    assert below(folder / "history") == files


def test_history_of_a_folder_whose_state_was_moved_before_follows(tmp_path: Path, servers: Servers) -> None:
    folder, over = tmp_path / "data", in_a_store()
    with run_node(folder) as before:
        sent = send(before, 0)
        before.tick()
    moved(folder, servers)
    with run_node(folder, **on_cluster(servers)) as meanwhile:
        meanwhile.clock_ns[0] = before.now_ns
        sent = send(meanwhile, sent)
        meanwhile.tick()
    rows = len(history_rows(folder))
    report, _ = migrate(settings_in(folder, **on_cluster(servers), **over), None, lambda _share, _text: None)
    assert report["rows"] >= rows
    with run_node(folder, **on_cluster(servers), **over) as after:
        after.clock_ns[0] = meanwhile.now_ns
        sent = send(after, sent)
        after.tick()
        windows = windows_of(after.node)
        assert sum(row["total"] for row in windows) == sent
        assert len({row["window"] for row in windows}) == len(windows)


def test_history_that_is_not_of_the_folder_stops_the_move_before_anything_moved(tmp_path: Path, servers: Servers) -> None:
    folder = tmp_path / "data"
    over: dict[str, Any] = {"history_url": f"file://{tmp_path}/shared"}
    for each, history in ((folder, dict[str, Any]()), (tmp_path / "other", over)):
        with run_node(each, **history) as running:
            send(running, 0)
            running.tick()
    files = below(tmp_path / "shared")
    with pytest.raises(
        InvalidValue, match=r"shared/windows must be empty or an earlier state of .*/data/history/windows, got a table"
    ):
        migrate(settings_in(folder, **cluster_of(servers), **over), ",".join(servers.urls), lambda _share, _text: None)
    assert below(tmp_path / "shared") == files
    assert not (folder / MOVED_FILE).exists()
    with join_target_of(folder, servers) as target:
        assert target == 0


def test_a_call_that_moves_nothing_is_refused(tmp_path: Path) -> None:
    with run_node(tmp_path) as running:
        send(running, 0)
        running.tick()
    refused = CliRunner().invoke(app, ["migrate", "--data", str(tmp_path)])
    assert isinstance(refused.exception, InvalidValue)
    assert "--to-nats must be given, or history_url name another place" in str(refused.exception)
    same = {"history_url": f"file://{tmp_path}/history"}
    with pytest.raises(InvalidValue, match="--to-nats must be given"):
        migrate(settings_in(tmp_path, **same), None, lambda _share, _text: None)


class join_target_of:  # noqa: N801 - reads as a sentence where it is used
    """The number of messages in the cluster."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self._target = join_target(settings_in(folder, **on_cluster(servers)))

    def __enter__(self) -> int:
        return self._target.messages()

    def __exit__(self, *_: object) -> None:
        self._target.close()
