"""Categories of incidents: fitted on what came before, scored once an incident beside each source alone."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from features.facts import CATEGORIES
from tests.training_rows import of_categories, simulated_rows
from training.categories import MIXTURE, fit_categories, score_categories, tell
from training.rows import Evidence, Rows

GUESSING = log(len(CATEGORIES))


def simulated(seed: int) -> Rows:
    rows = simulated_rows(n_series=12, n_noise=0, days=3.0, a_day=4.0, seed=seed)
    return of_categories(rows, {"own": 0.7, "now": 0.5, "hour": 0.1, "tenant": 0.1}, seed=seed)


@pytest.fixture(scope="module")
def train() -> Rows:
    return simulated(0)


@pytest.fixture(scope="module")
def test() -> Rows:
    return simulated(1)


def test_the_mixture_tells_more_than_each_of_its_sources(train: Rows, test: Rows) -> None:
    mixtures = fit_categories(train)
    scores = score_categories(tell(mixtures, test), test)
    assert scores is not None
    mine = scores[MIXTURE]
    assert mine.incidents == test.events()
    assert mine.log_loss < min(s.log_loss for name, s in scores.items() if name != MIXTURE)
    assert scores["now"].mixture_minus_this_interval is not None
    assert scores["now"].mixture_minus_this_interval[1] < 0
    assert 0.7 < mine.top1 <= mine.top3 <= 1
    assert mine.log_loss_interval is not None
    assert mine.log_loss_interval[0] < mine.log_loss < mine.log_loss_interval[1]


def test_what_tells_nothing_guesses(train: Rows, test: Rows) -> None:
    scores = score_categories(tell(fit_categories(train), test), test)
    assert scores is not None
    silent = scores["last"]  # nothing was given of it
    assert silent.log_loss == pytest.approx(GUESSING)
    assert silent.brier == pytest.approx(1 - 1 / len(CATEGORIES))
    assert (silent.top1, silent.top3) == (pytest.approx(1 / 14), pytest.approx(3 / 14))


def test_every_incident_counts_once_however_many_rows_come_before_it(train: Rows, test: Rows) -> None:
    assert test.evidence is not None
    mixtures = fit_categories(train)
    thin = np.flatnonzero((test.series % 2 == 0) | (test.as_of_s // 60 % 3 == 0))  # fewer rows of every second series
    whole, part = (score_categories(tell(mixtures, rows), rows) for rows in (test, test.take(thin)))
    assert whole is not None
    assert part is not None
    assert part[MIXTURE].incidents == whole[MIXTURE].incidents
    assert part[MIXTURE].log_loss == pytest.approx(whole[MIXTURE].log_loss)


def test_rows_without_categories_have_no_scores(test: Rows) -> None:
    bare = replace(test, evidence=None)
    assert fit_categories(bare) == {}
    assert tell({}, bare) == {}
    assert score_categories({}, bare) is None
    assert test.evidence is not None
    unknown = replace(test, evidence=Evidence(np.full(len(test), -1), test.evidence.counts))
    assert score_categories(tell(fit_categories(test), unknown), unknown) is None


def test_what_is_told_does_not_depend_on_what_happened(train: Rows, test: Rows) -> None:
    mixtures = fit_categories(train)
    other = replace(test, category=np.where(test.category >= 0, (test.category + 1) % len(CATEGORIES), -1))
    assert all(np.array_equal(p, tell(mixtures, other)[name]) for name, p in tell(mixtures, test).items())
