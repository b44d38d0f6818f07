"""Who serves next: the comparison of the champion with its rival turned into a step of the registry.

`app.main` calls it once a minute for every tenant, `app.jobs` brings in new versions, `app.worker` has rivals put beside the champion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from app.champion import Champion
from app.members import Members
from app.rivalry import Compared
from features.errors import SnapshotMismatch, UntrustedArtifact
from features.extract import SCHEMA
from models.registry import Registry
from models.version import ModelVersion
from training.shadow import Patience, Step, next_step

__all__ = ["Rivals", "bring_in", "succeed"]

logger = logging.getLogger(__name__)

_WHO = "foreshock"


class Rivals:
    """Puts the version that the champion is to be compared with beside it.

    Parameters
    ----------
    registry_of : callable
        The registry of a tenant.
    """

    def __init__(self, registry_of: Callable[[str], Registry]) -> None:
        self._registry_of = registry_of

    def __call__(self, tenant: str, members: Members) -> None:
        """Begin or end a tenant's comparison if the registry says so; a version that cannot be loaded is dismissed, with the reason."""
        registry, rivalry = self._registry_of(tenant), members.rivalry
        wanted = registry.rival()
        name = wanted[0] if wanted and members.champion else None
        known = rivalry.rival.version if rivalry.rival else None
        if (name, members.version) == (known, rivalry.serves) or (name is None and known is None):
            return
        try:
            rival = None if name is None else Champion(name, registry.load(name, SCHEMA))
        except (SnapshotMismatch, UntrustedArtifact) as exc:
            registry.dismiss(who=_WHO, why=f"it cannot be compared: {exc}")
            rival = None
        rivalry.begin(rival, members.version)


def bring_in(registry: Registry, version: ModelVersion, serves: str | None, patience: Patience, at: datetime) -> None:
    """Let a version that passed the gate run in shadow, or serve at once where nothing serves or no shadow is wanted.

    Parameters
    ----------
    registry : Registry
        The tenant's models.
    version : ModelVersion
        What passed the gate.
    serves : str or None
        The version that serves, if one can be served.
    patience : Patience
        How long it is compared.
    at : datetime
        Aware UTC.
    """
    why = "the gate let it serve: it is better on held-out time than what served before"
    if serves is not None and patience.shadow_h > 0:
        registry.challenge(version.id, who=_WHO, why=why, at=at)
    else:
        registry.promote(version.id, who=_WHO, why=why, at=at, watch=serves is not None and patience.watch_h > 0)


def succeed(registry: Registry, compared: Compared | None, patience: Patience, at: datetime) -> Step:
    """Take the step that follows from a comparison, if it is about the two versions that are to be compared.

    Parameters
    ----------
    registry : Registry
        The tenant's models.
    compared : Compared or None
        From the tenant's forecasters.
    patience : Patience
        How long versions are compared.
    at : datetime
        Aware UTC.

    Returns
    -------
    str
        What was done; ``wait`` for nothing.
    """
    rival, champion = registry.rival(), registry.champion()
    if rival is None or champion is None or compared is None or (compared.rival, compared.serves) != (rival[0], champion.id):
        return "wait"
    step, why = next_step(rival[1], compared.hours, compared.difference, compared.verdict, patience)
    if step == "promote":
        registry.promote(rival[0], who=_WHO, why=why, at=at, watch=patience.watch_h > 0)
    elif step == "rollback":
        registry.rollback(who=_WHO, why=why, at=at)
    elif step != "wait":
        registry.dismiss(who=_WHO, why=why, at=at)
    if step != "wait":
        logger.info("model %s beside %s: %s, since %s", rival[0], champion.id, step, why)
    return step
