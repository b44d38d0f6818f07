"""A data folder in Python, as a notebook or a command opens it while no service does: its history, rows, training and models.

What is trained here is fitted, judged, signed and registered by the same functions as the training runs of the service, and serves
when the service starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeAlias
from uuid import uuid4

from app.api.parts import PREFIX, TrainingRequest
from app.auth import Deed
from app.backtests import Backtested, run_backtest
from app.cache.records import TrainingRun
from app.history.contract import History
from app.job import Job, dataset_of
from app.main import Node
from app.opening import made
from app.operator import operator
from app.runs import put_run
from app.said import said_of
from app.settings import Settings, load_settings
from app.succession import champion_of
from app.trained import Trained, register, train
from models.registry import Registry
from models.version import ModelVersion
from training.dataset import Dataset
from training.shadow import Patience

__all__ = ["EVER", "Folder", "open_folder"]

Progress: TypeAlias = Callable[[float], None]

EVER = datetime.fromtimestamp(0, UTC)
"""Before all history."""


class Folder:
    """A data folder that this process holds; a context manager.

    Parameters
    ----------
    settings : Settings
        Of the folder.
    tenant : str
        Whose history and models.

    Raises
    ------
    DataInUse
        When a service, or another process, holds the folder.
    """

    def __init__(self, settings: Settings, tenant: str = "default") -> None:
        self.settings = settings
        self.tenant = tenant
        self._node = Node(settings)

    @property
    def history(self) -> History:
        """The tables of `app.history`."""
        return self._node.history

    @property
    def registry(self) -> Registry:
        """The tenant's models."""
        return self._node.registry(self.tenant)

    def newest(self) -> datetime:
        """Return the end of the tenant's history."""
        windows = self.history.read("windows", tenant=self.tenant, columns=["window"])
        return datetime.fromtimestamp(max(windows["window"].to_pylist(), default=0) + self._node.plan.tick_s, UTC)

    def job(self, since: datetime | None = None, until: datetime | None = None, seed: int | None = None) -> Job:
        """Return what the service would train on, with what people said of it.

        Parameters
        ----------
        since, until : datetime, optional
            Aware; by default `models.history_days` up to the end of history.
        seed : int, optional
            By default `models.seed`.
        """
        now = datetime.now(UTC)
        job = self._node.job(TrainingRequest(self.tenant, "", since, until or self.newest(), seed, now))
        return replace(job, said=said_of(self._node.store.documents, self.tenant, job.said.plan))

    def dataset(self, job: Job | None = None, progress: Progress | None = None) -> Dataset:
        """Return the rows that a job learns from: the same columns as in service, with their labels.

        Raises
        ------
        InvalidValue
            When there are too few incidents.
        """
        return dataset_of(job or self.job(), self.history, progress or _nobody)

    def train(self, dataset: Dataset, seed: int | None = None) -> Trained:
        """Fit on rows, score on their last part and let the gate judge against the champion; nothing is registered yet.

        Parameters
        ----------
        dataset : Dataset
            From `dataset`, as it is or changed.
        seed : int, optional
            By default `models.seed`.

        Raises
        ------
        InvalidValue
            When the rows cover too short a time to hold a part out.
        """
        champion = champion_of(self.registry)
        return train(self.job(seed=seed), dataset, champion.ensemble if champion else None, datetime.now(UTC))

    def register(self, trained: Trained, reason: str, patience: Patience | None = None) -> ModelVersion:
        """Add a model to the registry and do with it what the gate said, as the service does with those of its own runs.

        Parameters
        ----------
        trained : Trained
            From `train`.
        reason : str
            Kept with the run, which stands among the training runs.
        patience : Patience, optional
            How long it is compared with what serves before it may; by default as the settings say.

        Returns
        -------
        ModelVersion
            A candidate if the gate refused it; else the challenger, or the champion where nothing served.
        """
        settings = self.settings.models
        deed = Deed("train", f"command line, {operator()}", self.tenant, "", f"{PREFIX}/models")
        with self._node.audit.during(deed):
            version = register(self.registry, trained, patience or Patience(settings.shadow_hours, settings.watch_hours))
        at, report = trained.record.created_at, dict(trained.report)
        run = TrainingRun(uuid4().hex, "succeeded", at, at, datetime.now(UTC), 1.0, reason, version, report, tenant=self.tenant)
        put_run(self._node.store.documents, run)
        return self.registry.version(version)

    def backtest(
        self, since: datetime | None = None, until: datetime | None = None, progress: Progress | None = None
    ) -> Backtested:
        """Say honestly how well the incidents of an interval could have been forecast; of all history by default.

        Raises
        ------
        InvalidValue
            When there are too few incidents, or the time is too short for folds.
        """
        return run_backtest(self.job(since or EVER, until), self.history, progress or _nobody)

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_folder(data: Path | str = "data", *, tenant: str = "default", config: Path | None = None) -> Folder:
    """Open a data folder while no service holds it.

    Parameters
    ----------
    data : path
        The folder.
    tenant : str
        Whose history and models.
    config : Path, optional
        The TOML file that the service is started with.

    Returns
    -------
    Folder
        To be closed, or used with `with`.

    Raises
    ------
    DataInUse
        When a service holds it: ask that for a training run with POST /api/v1/training-runs.
    InvalidValue
        When it is no data folder.
    """
    return Folder(made(load_settings(config, data=Path(data))), tenant)


def _nobody(_share: float) -> None:
    """Tell nobody of progress."""
