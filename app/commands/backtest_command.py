"""``foreshock backtest``: the honest report over a folder's own history, as numbers, as a table and as a page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from app.commands.train_command import newest_s
from app.main import Node
from app.recording import read_recording
from app.said import feedback_plan, resolved, said_of
from app.settings import Settings
from features.errors import InvalidValue
from training.dataset import Dataset, build
from training.page import page
from training.walkforward import WalkPlan, walk_forward

__all__ = ["backtest", "dataset_of"]

_STRIDE = 2  # ticks between two rows of a series, as in training runs
_FEWEST_INCIDENTS = 10


def backtest(
    settings: Settings,
    tenant: str,
    period: tuple[datetime | None, datetime | None],
    html: Path | None,
    progress: Callable[[float, str], None],
) -> tuple[dict[str, Any], str]:
    """Walk through history, training on what lay before each fold and forecasting it.

    Parameters
    ----------
    settings : Settings
        Of the folder; nobody may serve it meanwhile.
    tenant : str
        Whose history.
    period : tuple of datetime or None
        Since and until when; all of it where there is none.
    html : Path, optional
        Where to write the page.
    progress : callable
        Told the share done, in words.

    Returns
    -------
    report : dict
        As `training.report.Report.to_dict`.
    table : str
        The same for a terminal.

    Raises
    ------
    InvalidValue
        When history does not suffice, or what was asked for cannot be; before anything is read.
    """
    since, until = period
    if since is not None and until is not None and since >= until:
        raise InvalidValue(f"since must be before until, got {since.isoformat()} and {until.isoformat()}")
    if html is not None and (html.is_dir() or not html.absolute().parent.is_dir()):
        raise InvalidValue(f"html must be a file in a folder that is there, got {html}")
    dataset = dataset_of(settings, tenant, period, progress)
    if len(dataset.incidents) < _FEWEST_INCIDENTS:
        raise InvalidValue(
            f"history of tenant {tenant!r} must hold at least {_FEWEST_INCIDENTS} incidents, got {len(dataset.incidents)}"
        )
    report = walk_forward(dataset.rows, WalkPlan(), lambda share: progress(0.5 + 0.5 * share, "forecasting"))
    if html is not None:
        html.write_text(page(report), encoding="utf-8")
    return report.to_dict(), report.table()


def dataset_of(
    settings: Settings,
    tenant: str,
    period: tuple[datetime | None, datetime | None],
    progress: Callable[[float, str], None],
) -> Dataset:
    """Return the rows and incidents of a folder's own history.

    Parameters
    ----------
    settings, tenant, period, progress
        As for `backtest`.
    """
    since, until = period
    node = Node(settings)
    with closing(node):
        until = until or newest_s(node, tenant)
        begin_s = None if since is None else int(since.timestamp())
        recording = read_recording(node.history, tenant, node.plan.tick_s, begin_s, int(until.timestamp()))
        said = said_of(node.store.documents, tenant, feedback_plan(settings.feedback))
        return build(
            recording,
            node.plan,
            stride=_STRIDE,
            said=resolved(said, node.history, tenant),
            progress=lambda share: progress(0.5 * share, "reading history"),
        )
