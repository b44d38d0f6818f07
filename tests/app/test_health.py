"""What the parts say of themselves; `tests/app/test_main.py` and `test_node_roles.py` ask whole nodes."""

from __future__ import annotations

from pathlib import Path

from app.health import log_health, worker_health
from tests.lines import open_line
from tests.recorded import recorded


def test_a_worker_is_late_by_the_clock_alone_and_not_ready_while_it_fails_or_does_not_run(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(3))
        line.end_tick()
        end_s = line.worker.flow.memory.tick * 60
        assert worker_health(line.worker, 60, runs=True, now_s=end_s + 180.0).ok
        late = worker_health(line.worker, 60, runs=True, now_s=end_s + 180.1)
        assert (late.ok, "0 offsets behind, more than 3 ticks" in late.detail) == (False, True)
        assert worker_health(line.worker, 60, runs=True, now_s=None).ok
        assert not worker_health(line.worker, 60, runs=False, now_s=None).ok
        line.worker.failing = True
        assert "the last tick failed" in worker_health(line.worker, 60, runs=True, now_s=None).detail
        offsets = sum(line.store.log.end(n) for n in range(line.store.log.n_partitions))
        assert log_health(line.store.log, "").detail == f"{line.store.log.n_partitions} partitions, {offsets} offsets"
        assert not log_health(line.store.log, "the disk is gone").ok
