"""What a node is made of follows its settings."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.api.parts import TrainingRequest
from app.main import Node
from app.parts import memory_plan
from app.settings import load_settings
from features.errors import InvalidSetting
from tests.nodes import settings_in


def test_rules_of_the_taxonomy_file_are_used_and_a_bad_file_names_the_setting(tmp_path: Path) -> None:
    bad = tmp_path / "rules.toml"
    bad.write_text("nonsense = 1", encoding="utf-8")
    with pytest.raises(InvalidSetting, match=r"features\.taxonomy"):
        Node(load_settings(None, data=tmp_path / "data", **{"features.taxonomy": bad}))


def test_the_plan_of_the_memory_follows_the_settings() -> None:
    plan = memory_plan(load_settings(None, **{"features.tick_s": 30, "features.lateness_s": 90, "features.incident_k": 3}))
    assert memory_plan(load_settings(None, **{"features.max_series_per_tenant": 7})).max_series_per_tenant == 7
    assert (plan.tick_s, plan.lateness, plan.rule.k) == (30, 3, 3)


def test_what_a_run_works_on_follows_the_request_and_the_settings(tmp_path: Path) -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    with closing(Node(settings_in(tmp_path, models__history_days=2.0, models__seed=7))) as node:
        job = node.job(TrainingRequest("default", "", None, None, None, now))
        assert (job.since, job.until, job.seed) == (int(now.timestamp()) - 2 * 86_400, None, 7)
        asked = TrainingRequest("red", "", datetime(2026, 11, 1, tzinfo=UTC), now, 3, now)
        job = node.job(asked)
        assert (job.tenant, job.since, job.until, job.seed) == ("red", 1_793_491_200, int(now.timestamp()), 3)
