"""Which classes are estimators in the sense of scikit-learn and river, and why the others are not."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from river import base
from sklearn.base import BaseEstimator

from models.streaming import OnlineOnset, SeriesAnomaly
from tests.house.sources import ROOT, python_files
from training.estimator import OnsetClassifier

CHECKED = {OnsetClassifier: BaseEstimator, OnlineOnset: base.Classifier, SeriesAnomaly: base.AnomalyDetector}
"""Estimators of the libraries, which pass their checks in the tests of their modules."""

NOT_ESTIMATORS = {
    "fit": "labels by interval with who was at risk (n, 3), which no y of scikit-learn can say: censored is not negative",
    "learn": "all series of a tick at once, with arrays of what matured, not a row with a label",
}
"""Why a class that has the method is none."""

OF_ONE_ARRAY = {"models.bins.Bins": "fit(x)"}
"""What only cuts columns into steps, within `models.trees`."""


def classes() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for path in python_files("models", "training", "features"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = import_module(name)
        found += [
            (f"{name}.{one}", kind) for one, kind in vars(module).items() if inspect.isclass(kind) and kind.__module__ == name
        ]
    return found


def test_what_takes_x_and_y_like_scikit_learn_is_an_estimator_of_it() -> None:
    for name, kind in classes():
        fit = getattr(kind, "fit", None)
        if fit is None or getattr(kind, "_is_protocol", False):
            continue
        takes = [one.name for one in inspect.signature(fit).parameters.values() if one.kind is not one.KEYWORD_ONLY][1:]
        if kind in CHECKED:
            assert takes == ["X", "y"], name
        elif name in OF_ONE_ARRAY:
            assert takes == ["x"], name
        else:
            assert len(takes) >= 3, (
                f"{name}.fit takes {takes}: an estimator must keep scikit-learn's contract, see OnsetClassifier"
            )


def test_what_learns_row_by_row_is_a_model_of_river_and_passes_its_checks() -> None:
    learners = {kind for _, kind in classes() if hasattr(kind, "learn_one")}
    assert learners == {OnlineOnset, SeriesAnomaly}
    assert all(issubclass(kind, parent) for kind, parent in CHECKED.items())
    for kind in CHECKED:
        tests = ROOT / "tests" / (kind.__module__.replace(".", "/test_") + ".py")
        assert "check_estimator" in tests.read_text(encoding="utf-8"), kind
