"""The page about the client: its snippets run against a node, and its list has every call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.client.methods import Method
from app.client.table import Table
from tests.house.sources import ROOT
from tests.nodes import RunningNode

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_snippets_run_one_after_the_other(shop: RunningNode, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "page"}
    folder = Path(shop.node.settings.data) / "history"
    for number, snippet in enumerate(SNIPPETS):
        code = snippet.replace("http://127.0.0.1:8318", shop.served.api).replace('"data/history"', repr(str(folder)))
        exec(compile(code, f"snippet {number} of client.md", "exec"), names)
    for name in ("foreshock", "impatient", "patient"):
        client = names[name]
        assert hasattr(client, "close")
        client.close()  # pyright: ignore[reportAttributeAccessIssue] - made by a snippet
    said = capsys.readouterr().out
    assert "404 urn:foreshock:problem:not-found no prediction for service 'nobody'" in said
    assert "Roll back to version 2.4.0" in said
    assert "timeout True" in said


def test_the_page_names_every_call() -> None:
    calls = [name for name in dir(Table) if isinstance(getattr(Table, name), Method)]
    assert len(calls) > 40
    assert [name for name in calls if f"`{name}`" not in PAGE] == []
