"""Training in the foreground: a report, a version, and a champion only if the gate says so."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from app.commands.train_command import train
from app.main import Node
from app.succession import champion_of
from features.errors import DataInUse, InvalidValue
from tests.app.test_jobs import write_history
from tests.nodes import settings_in


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_report_parses_and_a_promoted_version_serves(tmp_path: Path) -> None:
    write_history(tmp_path / "history", 1000, 80)
    shares: list[float] = []
    report, _ = train(settings_in(tmp_path), "default", lambda share, _text: shares.append(share))
    told = json.loads(json.dumps(report, default=str))
    assert set(told["report"]["horizons"]) == {"5min", "15min", "60min"}
    assert told["incidents"] >= 10
    assert shares[-1] == 1.0
    with closing(Node(settings_in(tmp_path))) as node:
        champion = champion_of(node.registry("default"))
        assert (champion is not None) == report["promoted"]


def test_no_history_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="must hold at least 10 incidents"):
        train(settings_in(tmp_path), "default", lambda _share, _text: None)


def test_a_folder_that_is_served_is_not_trained_on(tmp_path: Path) -> None:
    with closing(Node(settings_in(tmp_path))), pytest.raises(DataInUse, match=str(tmp_path)):
        train(settings_in(tmp_path), "default", lambda _share, _text: None)
