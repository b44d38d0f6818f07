"""The record of a backtest that was asked for and its page, as `app.jobs` writes them and the API reads them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.cache.documents import tenant_key
from app.cache.records import check_run
from app.store.contract import Documents

__all__ = ["BacktestRun", "page_of", "put_page"]

_PAGES = "backtest-pages"


@dataclass(frozen=True, slots=True)
class BacktestRun:
    """One backtest, from the request to its report.

    Parameters
    ----------
    state : str
        One of `RUN_STATES`.
    since, until : datetime or None
        The interval of history that it walks through; None is open.
    progress : float
        Share done, in [0, 1].
    reason : str
        Why it was asked for.
    report : Mapping[str, object] or None
        As `training.report.Report.to_dict`, once it succeeded; its page is beside it.
    error : str or None
        Why it failed.
    tenant : str
        Whose history.
    node : str
        Which node works on it; empty where an earlier release wrote it.

    Raises
    ------
    InvalidValue
        When the state is unknown or the progress outside [0, 1].
    """

    id: str
    state: str
    requested_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: float = 0.0
    reason: str = ""
    report: Mapping[str, object] | None = None
    error: str | None = None
    tenant: str = "default"
    node: str = ""

    def __post_init__(self) -> None:
        check_run(self.state, self.progress)


def put_page(documents: Documents, tenant: str, run_id: str, text: str, ttl_s: float) -> None:
    """Keep the page of a backtest, compressed, beside its record and for as long."""
    documents.put(_PAGES, tenant_key(tenant, run_id), gzip.compress(text.encode(), mtime=0), ttl_s=ttl_s)


def page_of(documents: Documents, tenant: str, run_id: str) -> str | None:
    """Return the page of a backtest, None where there is none."""
    kept = documents.get(_PAGES, tenant_key(tenant, run_id))
    return None if kept is None else gzip.decompress(kept.value).decode()
