"""The demonstration of a cluster: a node is killed, the others take its partitions over, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import pytest

from app.commands.cluster_demo_command import Seen, Watch, lines_of
from app.demo.cluster import Part
from app.demo.relay import Relayed

SECONDS = 240.0


@pytest.fixture
def part(tmp_path: Path) -> Generator[Part]:
    made = Part("node-2", [sys.executable, "-c", "import time; time.sleep(600)"], os.environ, tmp_path / "log")
    made.start()
    yield made
    made.kill()


def test_a_killed_node_is_told_of_and_starts_again_after_a_while(part: Part) -> None:
    clock = [100.0]
    watch = Watch(30.0, lambda: clock[0])
    assert watch.look([part], 24, 24) == []
    killed = part.pid
    part.kill()
    assert watch.look([part], 16, 24) == [f"node-2 (pid {killed}) ended with -9; it starts again in 30 s"]
    clock[0] += 4.0
    assert watch.look([part], 24, 24) == ["all 24 partitions are held, 4.0 s after that began"]
    clock[0] += 26.0
    assert watch.look([part], 24, 24) == [f"node-2 was started again, pid {part.pid}"]
    assert part.pid != killed
    assert watch.look([part], 24, 24) == []
    assert part.runs


def test_without_restarting_a_killed_node_stays_away(part: Part) -> None:
    clock = [0.0]
    watch = Watch(0.0, lambda: clock[0])
    part.kill()
    assert watch.look([part], 24, 24)[0].endswith("ended with -9")
    clock[0] += 1000.0
    watch.look([part], 24, 24)
    assert not part.runs


def test_the_table_shows_what_the_others_say_of_a_node(part: Part) -> None:
    lines = lines_of([part], [Seen("node-2", "dead", (), 3)], Relayed(10, 2, 0, 1))
    assert lines[0].split() == ["name", "pid", "process", "state", "partitions", "lag"]
    assert lines[1].split() == ["node-2", str(part.pid), "runs", "dead", "0", "3"]
    assert lines[2] == "requests: 10 taken, 2 sent again, 1 waiting, 0 lost"


class Demo:
    """The command as a user starts it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "demo.log"
        command = [sys.executable, "-m", "app.cli", "cluster-demo", "--data", str(folder / "data"), "--restart-s", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, f"waited {SECONDS:g} s for {what}:\n{self.said}"
            time.sleep(0.2)

    def held(self, api: str) -> dict[str, set[int]]:
        """Return the partitions of each node that lives, as the node at an address says."""
        nodes = httpx.get(f"{api}/api/v1/nodes", timeout=30).json()["items"]
        return {node["id"]: set(node["partitions"]) for node in nodes if node["state"] == "alive"}


@pytest.fixture
def demo(tmp_path: Path) -> Generator[Demo]:
    started = Demo(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
        try:
            started.process.wait(SECONDS)
        finally:
            started.process.kill()
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", started.said)]
    assert not [pid for pid in set(pids) if Path(f"/proc/{pid}").exists()], "the command left processes behind"


@pytest.mark.cluster
@pytest.mark.slow
def test_a_killed_node_loses_its_partitions_to_the_others_and_nothing_of_the_telemetry(demo: Demo) -> None:
    demo.until(lambda: "stop with Ctrl-C" in demo.said, "all to be started")
    nodes = {
        name: (int(pid), api) for name, pid, api in re.findall(r"(node-\d)  pid (\d+)  .* REST (\S+)/api/v1/nodes", demo.said)
    }
    assert set(nodes) == {"node-1", "node-2", "node-3"}
    api = nodes["node-1"][1]
    demo.until(lambda: sorted(n for held in demo.held(api).values() for n in held) == list(range(24)), "all to be held")
    demo.until(lambda: min(map(len, demo.held(api).values())) >= 6, "partitions to be shared")
    os.kill(nodes["node-3"][0], signal.SIGKILL)
    demo.until(lambda: "node-3" not in demo.held(api), "the killed node to be taken for dead")
    demo.until(
        lambda: sorted(n for held in demo.held(api).values() for n in held) == list(range(24)), "its partitions to be held"
    )
    demo.until(lambda: "ended with -9" in demo.said, "the demonstration to tell")
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(SECONDS) == 0
    assert re.findall(r"(\d+) lost", demo.said)
    assert set(re.findall(r"(\d+) lost", demo.said)) == {"0"}
