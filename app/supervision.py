"""Looks after the models of a live node: moves challengers on, and asks for training when there is a reason.

`app.main` runs it in a thread beside the worker, whose learners it reads. Of several nodes a tenant's home decides (`app.home`). What it asks for goes to `app.jobs`; what it decides goes to the
registry, where the worker finds it at its next tick.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.api.parts import TrainingRequest
from app.home import everywhere
from app.learners import Learners
from app.situation import situation_of
from app.store.contract import Documents
from app.succession import succeed
from app.telemetry import Telemetry
from features.errors import ForeshockError
from models.registry import Registry
from training.shadow import Patience
from training.triggers import Policy, reason_to_train

__all__ = ["Supervision", "SupervisionParts"]

logger = logging.getLogger(__name__)

_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class SupervisionParts:
    """What it reads and asks.

    Parameters
    ----------
    learners : callable
        Returns those of the worker's present line.
    documents : Documents
        Training runs and feedback.
    registry_of : callable
        Returns the model registry of a tenant.
    ask_training : callable
        Queues a training run.
    now : callable
        Returns the time, aware.
    home : callable
        Whether this node decides for a tenant, see `app.home`.
    leads : callable
        Whether this node does what one node does for all.
    fail_lost : callable
        Fails the runs of nodes that are gone; asked where this node leads.
    """

    learners: Callable[[], Learners]
    documents: Documents
    registry_of: Callable[[str], Registry]
    ask_training: Callable[[TrainingRequest], object]
    now: Callable[[], datetime]
    home: Callable[[str], bool] = everywhere
    leads: Callable[[], bool] = lambda: True
    fail_lost: Callable[[], object] = lambda: None


class Supervision:
    """Decides tenant by tenant.

    Parameters
    ----------
    parts : SupervisionParts
        What it reads and asks.
    policy : Policy
        What is a reason to train.
    patience : Patience
        How long challengers and new champions are watched.
    telemetry : Telemetry
        Where it counts.
    """

    def __init__(self, parts: SupervisionParts, policy: Policy, patience: Patience, telemetry: Telemetry) -> None:
        self.parts = parts
        self.policy = policy
        self.patience = patience
        self.telemetry = telemetry

    def run(self, stop: threading.Event) -> None:
        """Look at everything every minute until told to stop."""
        while not stop.wait(_EVERY_S):
            self.look_at_all()

    def look_at_all(self) -> None:
        """Look at the tenants whose home this node is, and at lost runs if it leads; what cannot be looked at now is logged and counted."""
        if self.parts.leads():
            self._tried("the runs of nodes that are gone were not looked at", self.parts.fail_lost)
        for tenant in [tenant for tenant in list(self.parts.learners().members) if self.parts.home(tenant)]:
            self._tried(f"tenant {tenant} was not looked at for reasons to train", partial(self.look, tenant))

    def look(self, tenant: str) -> None:
        """Move the tenant's challenger on, or take its champion back, then ask for training if there is a reason."""
        parts, members, registry = self.parts, self.parts.learners().of(tenant), self.parts.registry_of(tenant)
        succeed(registry, members.rivalry.compared(), self.patience, parts.now())
        reason = reason_to_train(situation_of(parts.documents, registry, members, tenant, parts.now()), self.policy)
        if reason is not None:
            parts.ask_training(TrainingRequest(tenant, reason, None, None, None, parts.now()))

    def _tried(self, otherwise: str, look: Callable[[], object]) -> None:
        try:
            look()
        except Exception as exc:  # forecasts go on whatever fails here, and the next look may be luckier
            unforeseen = None if isinstance(exc, ForeshockError) else exc
            logger.error("%s: %s", otherwise, exc, exc_info=unforeseen)
            self.telemetry.faults.labels(place="triggers").inc()
