"""Faults drawn at random; nothing is lost, nothing counts twice. On failure the seed is printed.

``FORESHOCK_FAULT_SECONDS`` says for how long (180), ``FORESHOCK_FAULT_SEED`` with which seed; another one each time by default.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.cluster.nodes import Shape
from tests.cluster.random_run import run

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_nothing_is_lost_and_nothing_counts_twice_whatever_befalls_the_cluster(tmp_path: Path) -> None:
    seconds = float(os.environ.get("FORESHOCK_FAULT_SECONDS", "180"))
    seed = int(os.environ.get("FORESHOCK_FAULT_SEED", "0")) or random.randrange(1, 10**6)
    outcome = run(tmp_path, Shape(), seed, seconds)
    print(outcome.text)
    assert not outcome.violations, outcome.text
    assert outcome.records
