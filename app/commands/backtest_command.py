"""``foreshock backtest``: the honest report over a folder's own history, as numbers, as a table and as a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from app.folder import Folder
from app.settings import Settings
from features.errors import InvalidValue

__all__ = ["backtest"]

_READ = 0.5  # the share of a backtest that is done when its rows are made


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
    with Folder(settings, tenant) as folder:
        found = folder.backtest(
            since, until, lambda share: progress(share, "reading history" if share < _READ else "forecasting")
        )
    if html is not None:
        html.write_text(found.page, encoding="utf-8")
    page = f"page: {html}" if html is not None else "--html FILE writes a page with plots"
    return dict(found.report), f"{found.table}\n{page}"
