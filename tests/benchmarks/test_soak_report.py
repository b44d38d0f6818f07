"""What a soak makes of its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak_report import FLAT, Slope, drift, growing, picture, slopes

RNG = np.random.default_rng(3)


def samples(an_hour: float, noise: float, n: int = 240) -> list[dict[str, float]]:
    """Return an hour of samples of 100 that grow by a share an hour."""
    seconds = np.linspace(0.0, 3600.0, n)
    values = 100.0 * (1.0 + an_hour * seconds / 3600.0) + RNG.normal(0.0, noise, n)
    return [{"second": float(at), "rss_mib": float(value)} for at, value in zip(seconds, values, strict=True)]


def test_growth_is_found_in_noise_and_with_outliers() -> None:
    noisy = samples(0.3, 5.0)
    for place in (20, 100, 180):
        noisy[place]["rss_mib"] = 1000.0
    (found,) = slopes(noisy, ["rss_mib"])
    assert found.an_hour == pytest.approx(0.3 / 1.15, abs=0.05)
    assert found.lower > FLAT["rss_mib"]
    assert len(list(growing([found]))) == 1


def test_what_is_flat_or_falls_passes() -> None:
    for an_hour in (0.0, 0.03, -0.4):
        assert list(growing(slopes(samples(an_hour, 5.0), ["rss_mib"]))) == []


def test_what_never_changes_has_no_slope() -> None:
    same: list[dict[str, float]] = [{"second": 5.0 * k, "files": 79.0} for k in range(9)]
    assert slopes(same, ["files"]) == [Slope("files", 79.0, 0.0, 0.0, 0.0)]


def test_every_service_whose_counts_differ_is_named() -> None:
    sent = {"web": {"spans": 10, "errors": 1}, "cart": {"spans": 4, "errors": 0}}
    assert list(drift(sent, sent)) == []
    assert list(drift(sent, {"web": {"spans": 11, "errors": 0}, "mail": {"spans": 1, "errors": 0}})) == [
        "cart: 0 spans in history, 4 acknowledged",
        "mail: 1 spans in history, 0 acknowledged",
        "web: 11 spans in history, 10 acknowledged",
        "web: 0 errors in history, 1 acknowledged",
    ]


def test_a_picture_of_a_run_is_drawn(tmp_path: Path) -> None:
    names = ("rss_mib", "files", "threads", "log_mib", "history_mib", "behind")
    run = {
        "samples": [{"second": 5.0 * k} | dict.fromkeys(names, float(k)) for k in range(20)],
        "faults": [{"kind": "kill", "at_s": 20.0, "seconds": 3.0}],
        "steady_from_s": 50.0,
    }
    picture(run, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
