"""Calls about training runs, backtests and model versions, and the wait for a run's end.

Each describes one route of the API, or a wait, and is a method of both clients.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypedDict, TypeVar, Unpack

import pandas as pd

from app.api.backtest_schemas import BacktestOut
from app.api.learning_schemas import LearningOut
from app.api.model_schemas import ComparisonOut, ModelDetailOut
from app.api.schemas import ModelOut, RunState, TrainingRunOut
from app.client.exchange import Pause, Request, Steps, ask, document
from app.client.failures import RunFailed, StillWaiting
from app.client.methods import Method
from app.client.pages import listed
from features.errors import InvalidValue

__all__ = ["Runs", "Stretch", "Versions"]

RunT = TypeVar("RunT", TrainingRunOut, BacktestOut)

_POLL_S = 1.0  # as the service's Retry-After says
_PATIENCE_S = 3600.0  # guessed: a run takes minutes


class Stretch(TypedDict, total=False):
    """Which part of history a run reads; everything has a default."""

    since: datetime | None
    """None is `models.history_days` before the end."""
    until: datetime | None
    """Behind the interval; None is now."""
    seed: int | None
    reason: str


class Runs:
    """Calls about training runs and backtests."""

    @Method
    @staticmethod
    def train(**stretch: Unpack[Stretch]) -> Steps[TrainingRunOut]:
        """Ask for a training run; `wait_for_training` waits for its end.

        Parameters
        ----------
        **stretch
            See `Stretch`.
        """
        return document(TrainingRunOut, Request("POST /api/v1/training-runs", body=stretch, once=True))

    @Method
    @staticmethod
    def training_runs(*, state: RunState | None = None, limit: int | None = None) -> Steps[pd.DataFrame]:
        """List training runs, newest first."""
        return listed(TrainingRunOut, "GET /api/v1/training-runs", {"state": state, "limit": limit})

    @Method
    @staticmethod
    def training_run(run_id: str) -> Steps[TrainingRunOut]:
        """Show one training run, with its report once it is over."""
        return document(TrainingRunOut, Request("GET /api/v1/training-runs/{run_id}", {"run_id": run_id}))

    @Method
    @staticmethod
    def wait_for_training(run_id: str, *, timeout_s: float = _PATIENCE_S, poll_s: float = _POLL_S) -> Steps[TrainingRunOut]:
        """Wait until a training run has succeeded, and show it.

        Parameters
        ----------
        run_id : str
            Of the run that `train` returned.
        timeout_s : float
            Seconds of waiting at most, at least 0.
        poll_s : float
            Seconds between two looks, above 0.

        Raises
        ------
        RunFailed
            When it has failed.
        StillWaiting
            When it was not over in time.
        """
        return _until_over(Runs.training_run.call, run_id, (timeout_s, poll_s))

    @Method
    @staticmethod
    def start_backtest(**stretch: Unpack[Stretch]) -> Steps[BacktestOut]:
        """Ask for a backtest over history; `wait_for_backtest` waits for its end.

        Parameters
        ----------
        **stretch
            See `Stretch`.
        """
        return document(BacktestOut, Request("POST /api/v1/backtests", body=stretch, once=True))

    @Method
    @staticmethod
    def backtests(*, state: RunState | None = None, limit: int | None = None) -> Steps[pd.DataFrame]:
        """List backtests, newest first, without their reports."""
        return listed(BacktestOut, "GET /api/v1/backtests", {"state": state, "limit": limit})

    @Method
    @staticmethod
    def backtest(run_id: str) -> Steps[BacktestOut]:
        """Show one backtest, with its report once it has succeeded."""
        return document(BacktestOut, Request("GET /api/v1/backtests/{run_id}", {"run_id": run_id}))

    @Method
    @staticmethod
    def backtest_page(run_id: str) -> Steps[str]:
        """Return the report of a backtest as a page for people, in HTML."""
        answer = yield from ask(Request("GET /api/v1/backtests/{run_id}/page", {"run_id": run_id}))
        return answer.text

    @Method
    @staticmethod
    def wait_for_backtest(run_id: str, *, timeout_s: float = _PATIENCE_S, poll_s: float = _POLL_S) -> Steps[BacktestOut]:
        """Wait until a backtest has succeeded, and show it; as `wait_for_training`."""
        return _until_over(Runs.backtest.call, run_id, (timeout_s, poll_s))


class Versions:
    """Calls about model versions."""

    @Method
    @staticmethod
    def models(*, limit: int | None = None) -> Steps[pd.DataFrame]:
        """List model versions, newest first."""
        return listed(ModelOut, "GET /api/v1/models", {"limit": limit})

    @Method
    @staticmethod
    def model(version_id: str) -> Steps[ModelDetailOut]:
        """Show one model version, and every step that let it serve or replaced it."""
        return document(ModelDetailOut, Request("GET /api/v1/models/{version_id}", {"version_id": version_id}))

    @Method
    @staticmethod
    def promote(version_id: str, *, who: str = "unknown", why: str = "") -> Steps[ModelDetailOut]:
        """Let a version serve.

        Raises
        ------
        Problem
            When it cannot serve.
        """
        body = {"who": who, "why": why}
        return document(
            ModelDetailOut,
            Request("POST /api/v1/models/{version_id}:promote", {"version_id": version_id}, body=body, once=True),
        )

    @Method
    @staticmethod
    def rollback(*, who: str = "unknown", why: str = "") -> Steps[ModelDetailOut]:
        """Let the version serve again that served before."""
        return document(ModelDetailOut, Request("POST /api/v1/models:rollback", body={"who": who, "why": why}, once=True))

    @Method
    @staticmethod
    def compare(version_id: str, other_id: str) -> Steps[ComparisonOut]:
        """Put two versions side by side."""
        names = {"version_id": version_id, "other_id": other_id}
        return document(ComparisonOut, Request("GET /api/v1/models/{version_id}/compare/{other_id}", names))

    @Method
    @staticmethod
    def learning() -> Steps[LearningOut]:
        """Say how well forecasts do lately, by what came true."""
        return document(LearningOut, Request("GET /api/v1/learning"))


def _until_over(show: Callable[[str], Steps[RunT]], run_id: str, patience: tuple[float, float]) -> Steps[RunT]:
    timeout_s, poll_s = patience
    if timeout_s < 0.0 or poll_s <= 0.0:
        raise InvalidValue(f"timeout_s must be at least 0 and poll_s above 0, got {timeout_s:g} and {poll_s:g}")
    waited_s = 0.0
    while True:
        run = yield from show(run_id)
        if run.state == "succeeded":
            return run
        if run.state == "failed":
            raise RunFailed(f"run {run_id} has failed: {run.error or 'it does not say why'}")
        if waited_s >= timeout_s:
            raise StillWaiting(
                f"run {run_id} is {run.state} at {run.progress:.0%} after {waited_s:g} s; timeout_s is {timeout_s:g}"
            )
        pause_s = min(poll_s, timeout_s - waited_s)
        yield Pause(pause_s)
        waited_s += pause_s
