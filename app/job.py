"""What a run works on, and the rows of history that it works with.

`app.main` makes a `Job` of a request and the settings; `app.trained` fits on its rows, `app.backtests` walks through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.history.contract import History
from app.parallel import Spread
from app.recording import read_recording
from app.said import resolved
from features.errors import InvalidValue
from features.memory import MemoryPlan
from training.dataset import Dataset, build, count_incidents
from training.labels import Said
from training.shadow import AT_ONCE, Patience

__all__ = ["Job", "dataset_of"]


@dataclass(frozen=True, slots=True)
class Job:
    """What one run learns from.

    Parameters
    ----------
    tenant : str
        Whose history.
    plan : MemoryPlan
        The live plan.
    since, until : int or None
        Unix seconds of history.
    seed : int
        Of everything random.
    min_incidents : int
        Incidents below which nothing is fitted.
    stride : int
        Ticks between two rows of a series.
    said : Said
        What people said, and what their alerting reported.
    spread : Spread
        Where members are fitted and folds are walked, and how many at a time.
    patience : Patience
        How long a model that passed the gate is compared with the one that serves.
    """

    tenant: str
    plan: MemoryPlan
    since: int | None = None
    until: int | None = None
    seed: int = 0
    min_incidents: int = 10
    stride: int = 2
    said: Said = field(default_factory=Said)
    spread: Spread = field(default_factory=Spread)
    patience: Patience = AT_ONCE


def dataset_of(job: Job, history: History, progress: Callable[[float], None]) -> Dataset:
    """Read history and make rows of it, as the live line would have made them.

    Parameters
    ----------
    job : Job
        Whose history, and which part of it.
    history : History
        Where it is.
    progress : callable
        Told the share done.

    Raises
    ------
    InvalidValue
        When there are too few incidents; before a row is made.
    """
    recording = read_recording(history, job.tenant, job.plan.tick_s, job.since, job.until)
    progress(0.2)
    said = resolved(job.said, history, job.tenant)
    n_reported = len(said.reported)
    # Where there are enough, that ends after the first few; where not, it takes a third of what making rows would (measured).
    n_found = count_incidents(
        recording, job.plan, job.min_incidents - n_reported, progress=lambda share: progress(0.2 + 0.2 * share)
    )
    if n_found + n_reported < job.min_incidents:
        raise InvalidValue(
            f"history of tenant {job.tenant!r} must hold at least {job.min_incidents} incidents to learn from, "
            f"got {n_found + n_reported}"
        )
    dataset = build(recording, job.plan, stride=job.stride, said=said, progress=lambda share: progress(0.4 + 0.6 * share))
    progress(1.0)
    return dataset
