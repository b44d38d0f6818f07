"""Backtests: one is started here, shows how far it is, and says in the end how forecasts would have done on one's own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from app.cache.backtests import BacktestRun
from app.dashboard import words
from app.dashboard.collector import empty
from app.dashboard.frame import Frame, Given, panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.runs import progress_of
from app.dashboard.tables import button, table

__all__ = ["show"]

_MOST = 30  # guessed
_BASELINES = ("recency", "rate", "seasonal")


async def show(frame: Frame) -> None:
    """Show the page."""
    content = frame.head("Backtests", "backtests")

    async def start(given: Given) -> str:
        await frame.rest.post("/backtests", {"reason": given.get("why") or "asked for on the dashboard"})
        return "It is queued; its progress shows below."

    frame.acts["start"] = start
    with content:
        await frame.section(_title)
        await frame.section(lambda: _runs(frame))
    frame.follow("backtests")


def _title() -> Markup:
    detail = "Forecasts are made again over all of history, each from what was known then. It runs at low priority beside the service."
    start = button("Start a backtest", "start", ask="Start a backtest?", detail=detail, fields="why", verb="Start")
    return h("div.title", h("h1", "Backtests"), h("span.soft", "How forecasts would have done on your own history."), start)


def _runs(frame: Frame) -> Markup:
    found = sorted(
        frame.sources.cache.all("backtests", frame.view.prefix, BacktestRun).values(),
        key=lambda run: run.requested_at,
        reverse=True,
    )
    if not found:
        return empty(
            "No backtest yet",
            "Start one above: it takes minutes on some days of history, and needs incidents in it. From the shell: ",
            h("code", "foreshock backtest"),
            ".",
        )
    return join([_run(frame, run) for run in found[:_MOST]])


def _run(frame: Frame, run: BacktestRun) -> Markup:
    over = f"{words.clock(run.since) if run.since else 'the beginning'} to {words.clock(run.until) if run.until else 'the end'}"
    head: list[Child] = [
        "asked for ",
        words.age(run.requested_at),
        ", took " if run.ended_at else ", runs ",
        words.span(run.started_at or run.requested_at, run.ended_at),
    ]
    return panel(
        run.reason or "Backtest",
        h("p", progress_of(run), h("span.soft", f" history from {over}")),
        _report(run.report) if run.report else None,
        h("p", h("a", "The whole report", href=_page(frame, run))) if run.state == "succeeded" else None,
        note=head,
    )


def _page(frame: Frame, run: BacktestRun) -> str:
    """Return where `app.dashboard.site` has the report's page; to the API itself a link cannot name the tenant."""
    return frame.view.link("backtests", run.id, "report")


def _report(report: Mapping[str, object]) -> Markup:
    horizons = cast("Mapping[str, Mapping[str, object]]", report.get("horizons", {}))
    events = cast("Mapping[str, object]", report.get("served_events", {}))
    facts = (
        ("Incidents announced", words.percent(_number(events.get("recall")))),
        ("Of the alerts, right", words.percent(_number(events.get("precision")))),
        ("Median lead", words.duration(_number(events.get("median_lead_s")))),
        ("False alarms", words.amount(_number(events.get("false_alarms_a_day")), "a day")),
    )
    rows = [[f"{name.removesuffix('min')} min", *_scores(entry)] for name, entry in horizons.items()]
    heads = ("Within", "AP", *(f"AP of {name}" for name in _BASELINES), "Skill", "Calibration error", "Base rate")
    return join(
        [
            h("dl.facts", [h("div", h("dt", name), h("dd", value)) for name, value in facts]),
            h("p.soft", _tested(report)),
            h("details", h("summary", "Scores beside the baselines"), table(heads, rows, range(1, len(heads)))),
        ]
    )


def _tested(report: Mapping[str, object]) -> str:
    """Say on which time forecasts were judged, and at which budget of false alarms."""
    begun, ended = (words.clock(datetime.fromisoformat(str(at))) for at in cast("Sequence[object]", report["test"]))
    budget = words.amount(_number(report.get("budget_per_day")), "false alarms a day")
    return f"Judged from {begun} to {ended}, which it had not learned from, at the threshold that spends {budget}."


def _scores(entry: Mapping[str, object]) -> list[str]:
    baselines = cast("Mapping[str, Mapping[str, object]]", entry.get("baselines", {}))
    own = [
        entry.get("ap"),
        *(baselines.get(name, {}).get("ap") for name in _BASELINES),
        entry.get("brier_skill"),
        entry.get("ece"),
    ]
    return [*(_score(value) for value in own), words.percent(_number(entry.get("base_rate")))]


def _score(value: object) -> str:
    number = _number(value)
    return words.DASH if number is None else f"{number:.3f}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
