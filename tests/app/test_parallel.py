"""Members and folds come to the same numbers in threads, in processes and on a Dask cluster; what was started for them ends."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from app.child import Child
from app.history.contract import History
from app.history.delta import DeltaHistory
from app.parallel import Spread
from features.arrays import FloatArray
from features.errors import InvalidSetting, InvalidValue, StoreFailed
from tests.nodes import until
from tests.training_rows import simulated_rows
from training.fit import fit
from training.rows import Rows
from training.walkforward import WalkPlan, walk_forward

_cluster: Any = LocalCluster  # its types do not know the address of its scheduler


@pytest.fixture(scope="module")
def rows() -> Rows:
    return simulated_rows(n_series=4, n_noise=2, a_day=3.0)


@pytest.fixture(scope="module")
def scheduler() -> Generator[str]:
    # Two threads a worker: tasks of one process must not change each other's last bits either.
    with _cluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster:
        yield str(cluster.scheduler_address)


def came_to(rows: Rows, spread: Spread) -> tuple[FloatArray, dict[str, float], str, list[float]]:
    """Return hazards and weights of a fit, the report of a backtest, and the progress that was told."""
    told: list[float] = []
    plan = WalkPlan(folds=2, seed=1, jobs=spread.workers, folds_at_once=spread.folds_at_once)
    with spread.entered():
        fitted = fit(rows, seed=1, jobs=spread.workers)
        report = walk_forward(rows, plan, told.append)
    return fitted.ensemble.hazards(rows.x), fitted.record.weights, json.dumps(report.to_dict()), told


@pytest.fixture(scope="module")
def alone(rows: Rows) -> tuple[FloatArray, dict[str, float], str, list[float]]:
    return came_to(rows, Spread(workers=1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("backend", ["", "threading", "loky", "dask"])
def test_every_backend_comes_to_the_same_numbers_to_the_last_bit(
    rows: Rows, alone: tuple[FloatArray, dict[str, float], str, list[float]], scheduler: str, backend: Any
) -> None:
    hazards, weights, report, told = came_to(rows, Spread(backend, scheduler if backend == "dask" else "", 2))
    assert (hazards == alone[0]).all()
    assert (weights, report, told) == alone[1:]
    assert told == [0.5, 1.0]


def where(_number: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_work_is_done_in_other_processes_and_the_backend_is_left_behind_with_the_run(scheduler: str, backend: Any) -> None:
    before = type(get_active_backend()[0])
    with Spread(backend, scheduler if backend == "dask" else "", 2).entered():
        processes = set(Parallel(n_jobs=2)(delayed(where)(n) for n in range(8)))
    assert processes
    assert os.getpid() not in processes
    assert type(get_active_backend()[0]) is before


def wait_long(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    threading.Event().wait(600)


def never_ends(folder: Path, history: History, progress: Callable[[float], None]) -> None:
    assert history is not None
    progress(0.0)
    with Spread("loky").entered():
        Parallel(n_jobs=2)(delayed(wait_long)(folder) for _ in range(2))


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_that_is_stopped_leaves_no_process_behind(tmp_path: Path) -> None:
    stop, pids = threading.Event(), tmp_path / "pids"
    pids.mkdir()
    child = Child(partial(DeltaHistory, tmp_path), 60.0, stop)

    def stop_once_both_work() -> None:
        until(lambda: len(list(pids.iterdir())) == 2, "two processes at work")
        stop.set()

    stopper = threading.Thread(target=stop_once_both_work)
    stopper.start()
    with pytest.raises(InvalidValue, match="the service was stopped"):
        child.run("training", partial(never_ends, pids), lambda _share: None)
    stopper.join()
    working = [int(path.name) for path in pids.iterdir()]
    assert len(working) == 2
    until(lambda: not any(map(runs, working)), "the end of the processes")


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_without_an_address_is_refused_by_the_setting_s_name(backend: Any) -> None:
    with pytest.raises(InvalidSetting, match=rf"models\.joblib_address must name the scheduler of {backend}"):
        Spread(backend)


def test_a_cluster_whose_package_is_missing_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "ray", raising=False)
    with pytest.raises(InvalidSetting, match=r"ray needs the package ray; pip install 'foreshock\[ray\]'"):
        Spread("ray", "127.0.0.1:6379")


def test_a_scheduler_that_is_away_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.parallel._ANSWER_S", 1)
    with (
        pytest.raises(StoreFailed, match=r"the Dask scheduler at tcp://127\.0\.0\.1:1 does not answer"),
        Spread("dask", "tcp://127.0.0.1:1").entered(),
    ):
        pass
    with pytest.raises(StoreFailed, match="does not answer"), Spread("dask", "no://such").entered():
        pass
