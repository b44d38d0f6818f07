"""The list of model versions, for programs and for people."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from app.commands.models_command import versions
from app.commands.train_command import newest_s, train
from app.main import Node
from features.errors import InvalidValue
from tests.app.test_jobs import FIRST, write_history
from tests.nodes import settings_in


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_trained_version_is_listed_with_its_alias(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1000, 80)
    settings = settings_in(tmp_path)
    report, table = train(settings, "default", lambda _share, _text: None)
    assert report["model_version"] in table
    listed, words = versions(settings, "default")
    assert [item["id"] for item in listed["items"]] == [report["model_version"]]
    assert listed["items"][0]["alias"] == ("champion" if report["promoted"] else "candidate")
    assert report["model_version"] in words
    assert versions(settings, "other") == ({"items": []}, "no model yet; the prior is served")


def test_history_that_ends_long_ago_is_trained_up_to_its_end(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 30, 10_000)
    with closing(Node(settings_in(tmp_path))) as node:
        assert newest_s(node, "default").timestamp() == (FIRST + 30) * 60
    with pytest.raises(InvalidValue, match="must hold at least 10 incidents to learn from, got 0"):
        train(settings_in(tmp_path), "default", lambda _share, _text: None)
