"""The wire model of a backtest; `app.api.backtests` answers with it."""

from __future__ import annotations

from pydantic import AwareDatetime

from app.api.schemas import Out, Probability, RunState

__all__ = ["BacktestOut"]


class BacktestOut(Out):
    """A backtest that was asked for."""

    id: str
    state: RunState
    requested_at: AwareDatetime
    since: AwareDatetime | None
    until: AwareDatetime | None
    """Behind the interval of history that it walks through; null is the newest."""
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    progress: Probability
    reason: str
    report: dict[str, object] | None
    """Null in lists; once it succeeded, one backtest alone shows it."""
    page: str | None
    """Where the page for people is, once it succeeded."""
    error: str | None
    tenant: str
    node: str
    """The node of a cluster that works on it; empty where an earlier release wrote it."""
