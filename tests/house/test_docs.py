"""The pages that code renders are committed as it renders them, and decisions are numbered without a gap."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli import app as cli
from app.demo.faults import DECOYS
from app.demo.faults import KINDS as FAULTS
from app.history.tables import SCHEMAS
from app.settings import Settings, load_settings
from app.telemetry import Telemetry
from docs.generate import (
    PAGES,
    openapi,
    render_commands,
    render_kinds,
    render_metrics,
    render_routes,
    render_settings,
    stale_pages,
)
from features.batch import CHANNELS
from features.taxonomy import KINDS
from tests.house.sources import ROOT


def test_generated_pages_are_up_to_date() -> None:
    assert stale_pages() == [], "run `.venv/bin/python docs/generate.py` and commit the pages"


def test_every_setting_and_metric_is_on_its_page() -> None:
    settings, metrics = render_settings(), render_metrics()
    assert [
        name for name in Settings.model_fields if f"## `{name}`" not in settings and f"| `{name}`<br>" not in settings
    ] == []
    assert [metric.name for metric in Telemetry().registry.collect() if f"| `{metric.name}" not in metrics] == []


def test_every_route_and_kind_of_error_is_on_its_page() -> None:
    routes, kinds = render_routes(), render_kinds()
    paths = openapi()["paths"]
    assert [(path, method) for path in paths for method in paths[path] if f"| `{method.upper()} {path}` |" not in routes] == []
    assert [name for name in KINDS if f"| `{name}` |" not in kinds] == []


def test_every_command_is_on_its_page() -> None:
    page = render_commands()
    groups = {group.name: group.typer_instance for group in cli.registered_groups if group.typer_instance is not None}
    named = [("", cli), *((f" {name}", group) for name, group in groups.items())]
    names = [
        f"foreshock{prefix} {command.name or command.callback.__name__.replace('_', '-')}"
        for prefix, group in named
        for command in group.registered_commands
        if command.callback is not None
    ]
    assert len(names) > 10
    assert [name for name in names if f"## `{name}`" not in page] == []


@pytest.mark.parametrize("page", ["how-to.md"])
def test_settings_that_a_page_shows_are_taken(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert shown
    for number, block in enumerate(shown):
        file = tmp_path / f"{number}.toml"
        file.write_text(block)
        load_settings(file, data=tmp_path)


def test_every_route_has_an_example_or_a_mention() -> None:
    page = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
    shown = re.sub(r"\{\w+\}", "{}", page)
    assert [path for path in openapi()["paths"] if re.sub(r"\{\w+\}", "{}", path) not in shown] == []


def test_every_table_and_count_of_history_is_on_its_page() -> None:
    page = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")
    columns = {field.name for schema in SCHEMAS.values() for field in schema} | set(CHANNELS) | set(SCHEMAS)
    assert sorted(name for name in columns if f"`{name}`" not in page) == []


def test_every_fault_and_decoy_of_the_demo_is_on_its_page_with_its_times() -> None:
    page = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    assert [decoy.name for decoy in DECOYS if f"| `{decoy.name}` |" not in page] == []
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    spans = {kind.name: f"| {low} to {high} |" if high else "| 0 |" for kind in FAULTS for low, high in [kind.lead_minutes]}
    assert [name for name, span in spans.items() if not rows[name].endswith(span)] == []


def test_every_metric_has_the_prefix_and_a_meaning() -> None:
    collected = list(Telemetry().registry.collect())
    assert collected
    assert [metric.name for metric in collected if not metric.name.startswith("foreshock_") or not metric.documentation] == []


def test_every_setting_says_what_it_is_for() -> None:
    assert [line for line in render_settings().splitlines() if re.search(r"\|\s*\|$", line)] == []


def test_decisions_are_numbered_without_a_gap_and_have_every_part() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    parts = ("## Context", "## Decision", "## Consequences", "## Refused options")
    assert [path.name for path in records if any(part not in path.read_text(encoding="utf-8") for part in parts)] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
    assert set(PAGES) <= {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_checklist_of_otlp_names_every_test_and_no_other() -> None:
    page = (ROOT / "docs" / "otlp.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_item_\w+)`", page)
    written = [
        name
        for path in (ROOT / "tests" / "app" / "ingest").glob("test_checklist_*.py")
        for name in re.findall(r"^def (test_item_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(named) == sorted(written)
    assert {int(name.split("_")[2]) for name in named} == set(range(1, 26))
