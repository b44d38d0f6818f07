"""Two results of benchmarks are compared by ratios within each run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench_measure import Measure, measure
from benchmarks.bench_report import RATIOS, page, picture, ratios
from benchmarks.compare import Change, changes, table

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def result(**values: tuple[float, str]) -> dict[str, Any]:
    return {"ratios": {name: {"value": value, "better": better} for name, (value, better) in values.items()}}


@pytest.mark.parametrize(
    ("better", "old", "new", "worse"),
    [("higher", 10.0, 9.0, 0.1), ("higher", 10.0, 20.0, 0.0), ("lower", 2.0, 4.0, 0.5), ("lower", 4.0, 1.0, 0.0)],
)
def test_worse_is_by_the_share_that_is_lost(better: str, old: float, new: float, worse: float) -> None:
    (found,) = changes(result(one=(old, better)), result(one=(new, better)))
    assert found.worse == pytest.approx(worse)


def test_a_ratio_fails_beyond_its_own_tolerance_or_that_of_all() -> None:
    old, new = result(a=(10.0, "higher"), b=(10.0, "higher")), result(a=(7.0, "higher"), b=(7.0, "higher"))
    new["ratios"]["b"]["tolerance"] = 0.5
    assert [one.failed for one in changes(old, new)] == [True, False]
    assert [one.failed for one in changes(old, new, tolerance=0.35)] == [False, False]


def test_what_the_new_result_lacks_fails_and_what_the_old_lacks_does_not() -> None:
    found = changes(result(gone=(1.0, "higher")), result(more=(1.0, "higher")))
    assert [(one.name, one.failed) for one in found] == [("gone", True), ("more", False)]
    assert table(found).splitlines()[1].endswith("REGRESSION")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_ratio_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match="one must be a positive number"):
        changes(result(one=(1.0, "higher")), result(one=(value, "higher")))


def test_results_that_disagree_on_what_is_better_are_refused() -> None:
    with pytest.raises(ValueError, match="one: better must be higher or lower and the same in both"):
        changes(result(one=(1.0, "higher")), result(one=(1.0, "lower")))


def test_the_command_fails_on_a_regression_alone(tmp_path: Path) -> None:
    for name, value in (("old", 4.0), ("same", 3.9), ("worse", 1.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result(cache=(value, "higher"))))
    for name, status in (("same", 0), ("worse", 1)):
        command = [sys.executable, "-m", "benchmarks.compare", str(tmp_path / "old.json"), str(tmp_path / f"{name}.json")]
        assert subprocess.run(command, check=False, capture_output=True).returncode == status


def test_a_ratio_is_of_two_measurements_of_one_run() -> None:
    def of(name: str, p50_ms: float) -> Measure:
        return Measure("optimiser settings", name, 1.0, p50_ms, p50_ms, p50_ms, p50_ms, p50_ms, 1.0, "spans", 9)

    found = ratios([of("zero-copy: in place", 2.0), of("zero-copy: through objects", 9.0)])
    assert [(name, one["value"]) for name, one in found.items()] == [("zero-copy: scanner in C over reader in Python", 4.5)]


def test_a_measurement_is_of_all_its_calls() -> None:
    one = measure(("log", "append"), [0.001] * 98 + [0.1, 0.2], elapsed=0.5, each=(2, "appends"), mib=10.0)
    assert (one.ops_s, one.p50_ms, one.n) == (400.0, 1.0, 100)
    assert one.p99_ms > 100.0 > one.p95_ms
    assert one.mean_ms == pytest.approx(3.98)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("bench-*.json")), ids=lambda path: path.stem)
def test_committed_results_are_whole_and_no_worse_than_themselves(path: Path, tmp_path: Path) -> None:
    kept = json.loads(path.read_text())
    assert {"date", "cores", "load_average", "commit"} <= set(kept["machine"])
    assert set(kept["ratios"]) == set(RATIOS)
    assert [one.failed for one in changes(kept, kept)] == [False] * len(RATIOS)
    sections = {one["section"] for one in kept["measures"]}
    assert sections == {
        "error handling", "prediction", "monitoring", "optimiser settings", "distributed coordination", "memory", "concurrency",
        "end to end", "latency and throughput",
    }  # fmt: skip
    found = [Measure(**one) for one in kept["measures"]]
    assert ratios(found) == kept["ratios"]
    told = page(kept)
    assert all(one.name in told for one in found)
    picture(found, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 10_000


def test_a_change_says_whether_it_failed() -> None:
    assert Change("a", 1.0, None, 0.0, 0.25).failed
    assert not Change("a", 1.0, 0.8, 0.2, 0.25).failed
