"""The list of model versions, for programs and for people."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from app.commands.models_command import compare, promote, rollback, show, versions
from app.commands.train_command import train
from app.folder import Folder
from app.main import Node
from features.errors import InvalidValue, UntrustedArtifact
from tests.app.test_jobs import FIRST, write_history
from tests.ensembles import add_version
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
    with Folder(settings_in(tmp_path)) as folder:
        assert folder.newest().timestamp() == (FIRST + 30) * 60
    with pytest.raises(InvalidValue, match="must hold at least 10 incidents to learn from, got 0"):
        train(settings_in(tmp_path), "default", lambda _share, _text: None)


def folder_with(tmp_path: Path, n: int) -> list[str]:
    with closing(Node(settings_in(tmp_path))) as node:
        return [add_version(node.registry("default"), hour, ap=0.2 + 0.1 * hour) for hour in range(n)]


def test_a_version_is_promoted_taken_back_and_shown_with_who_and_why(tmp_path: Path) -> None:
    first, second = folder_with(tmp_path, 2)
    settings = settings_in(tmp_path)
    promote(settings, "default", first, "ada", "")
    report, words = promote(settings, "default", second, "ada", "better")
    assert (report["id"], report["alias"]) == (second, "champion")
    assert f"promoted: {second} serves after {first}, by ada: better" in words
    report, _ = rollback(settings, "default", "ben", "worse")
    assert (report["id"], report["alias"]) == (first, "champion")
    assert [(step["action"], step["who"], step["why"]) for step in report["history"]] == [
        ("promoted", "ada", ""),
        ("promoted", "ada", "better"),
        ("rolled_back", "ben", "worse"),
    ]
    assert datetime.fromisoformat(report["history"][0]["at"]).tzinfo is not None
    assert show(settings, "default", second)[0]["alias"] == "retired"
    with pytest.raises(InvalidValue, match="no earlier champion"):
        rollback(settings, "default", "ben", "")


def test_a_version_in_shadow_is_shown_as_compared_and_not_as_serving(tmp_path: Path) -> None:
    first, second = folder_with(tmp_path, 2)
    with closing(Node(settings_in(tmp_path))) as node:
        registry = node.registry("default")
        registry.promote(first, who="ada")
        registry.challenge(second, who="foreshock", why="the gate let it serve")
        registry.dismiss(who="foreshock", why="worse")
    report, words = show(settings_in(tmp_path), "default", second)
    assert (report["alias"], len(report["history"])) == ("candidate", 2)
    assert f"challenged: {second} compared with {first}, by foreshock: the gate let it serve" in words
    assert f"rejected: {second} compared with {first}, by foreshock: worse" in words
    assert f"{second} serves" not in words


def test_two_versions_are_compared(tmp_path: Path) -> None:
    first, second = folder_with(tmp_path, 2)
    report, words = compare(settings_in(tmp_path), "default", first, second)
    assert report["scores"]["60min.ap"]["difference"] == pytest.approx(0.1)
    assert "60min.ap            0.2000  0.3000  0.1000" in words


def test_versions_that_are_not_there_are_named(tmp_path: Path) -> None:
    (version,) = folder_with(tmp_path, 1)
    settings = settings_in(tmp_path)
    with pytest.raises(UntrustedArtifact, match="'gone' is not in the manifest"):
        show(settings, "default", "gone")
    with pytest.raises(UntrustedArtifact, match="'gone'"):
        compare(settings, "default", version, "gone")
    with pytest.raises(InvalidValue, match="'gone' cannot serve"):
        promote(settings, "default", "gone", "ada", "")


def test_who_let_a_version_serve_by_command_is_in_the_audit_log(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with closing(Node(settings)) as node:
        version = add_version(node.registry("default"), 1)
    promote(settings, "default", version, "ada", "better")
    with pytest.raises(InvalidValue, match="not in the manifest"):
        promote(settings, "default", "gone", "ada", "")
    with closing(Node(settings)) as node:
        deeds = list(node.audit.deeds())
    assert [(deed.action, deed.principal, deed.tenant, deed.object, deed.outcome) for deed in deeds] == [
        ("model.promote", "command line, ada", "default", "/api/v1/models/gone", "refused"),
        ("model.promote", "command line, ada", "default", f"/api/v1/models/{version}", "done"),
    ]
