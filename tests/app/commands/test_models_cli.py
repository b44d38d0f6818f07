"""`foreshock models`: what its options ask for is done, and a mistake is told in one line."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from app.main import Node
from tests.app.test_cli import an_empty_folder, refused, run
from tests.ensembles import add_version
from tests.nodes import settings_in


def test_models_of_a_new_folder_are_none_and_the_prior_is_named(tmp_path: Path) -> None:
    made = an_empty_folder(tmp_path / "data")
    assert json.loads(run("models", "--data", made, "--json")[1]) == {"items": []}
    assert "prior" in run("models", "--data", made)[1]


def test_models_are_listed_shown_promoted_taken_back_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = an_empty_folder(tmp_path / "data")
    with closing(Node(settings_in(folder))) as node:
        first, second = (add_version(node.registry("default"), hour) for hour in (1, 2))

    def told(*arguments: str) -> dict[str, object]:
        code, out = run("models", *arguments, "--data", folder, "--json")
        assert code == 0
        return json.loads(out)

    told("promote", first)
    assert told("promote", second, "--who", "ada", "--why", "better")["alias"] == "champion"
    assert told("rollback", "--who", "ben")["id"] == first
    assert told("show", second)["alias"] == "retired"
    assert told("compare", first, second)["other"] == second
    assert told("list") == told()
    assert second in run("models", "list", "--data", folder)[1]
    assert "not in the manifest" in refused(monkeypatch, capsys, "models", "show", "gone", "--data", folder)
