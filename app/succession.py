"""Who serves: champions and rivals out of the registry, and their comparison turned into its next step.

`app.main` calls it once a minute for every tenant, `app.trained` brings in new versions, `app.worker` has champions put in and rivals beside
them between two ticks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from app.api.parts import Health
from app.champion import Champion
from app.home import everywhere
from app.members import Members
from app.rivalry import Compared
from app.telemetry import Telemetry
from features.errors import SnapshotMismatch, UntrustedArtifact
from features.extract import SCHEMA
from models.registry import Registry
from models.version import ModelVersion
from training.shadow import Patience, Step, next_step

__all__ = ["Champions", "Rivals", "bring_in", "champion_of", "succeed"]

logger = logging.getLogger(__name__)

_WHO = "foreshock"
_REFUSED_S = 600.0  # guessed: until a champion that could not be loaded is tried again


def champion_of(registry: Registry) -> Champion | None:
    """Load the champion, None when there is none that this release can serve."""
    version = registry.champion()
    try:
        return None if version is None else _loaded(registry, version.id)
    except (SnapshotMismatch, UntrustedArtifact) as exc:
        logger.warning("the champion is not served: %s", exc)
        return None


class Champions:
    """Loads the champion of a tenant when it is another one than the one that serves.

    Parameters
    ----------
    registry_of : callable
        The registry of a tenant.
    telemetry : Telemetry
        Where refused models are counted.
    monotonic : callable
        Seconds; says when a version that was refused is tried again.
    """

    def __init__(self, registry_of: Callable[[str], Registry], telemetry: Telemetry, monotonic: Callable[[], float]) -> None:
        self._registry_of = registry_of
        self._telemetry = telemetry
        self._monotonic = monotonic
        self._refused: dict[str, _Refused] = {}

    def __call__(self, tenant: str, version: str) -> Champion | None:
        """Return the champion unless it is this version; one that is not to be trusted or does not fit is refused, said and tried again later."""
        registry = self._registry_of(tenant)
        serving = registry.champion()
        if serving is None or serving.id == version:
            self._refused.pop(tenant, None)
            return None
        refused = self._refused.get(tenant)
        if refused is not None and refused.version == serving.id and self._monotonic() < refused.until_s:
            return None
        # Noted first, and left there when loading raises: a file is not read at every tick to fail again.
        self._refused[tenant] = _Refused(serving.id, self._monotonic() + _REFUSED_S, "it could not be read")
        try:
            champion = _loaded(registry, serving.id)
        except (SnapshotMismatch, UntrustedArtifact) as exc:
            logger.warning("the champion of tenant %s is not served: %s", tenant, exc)
            self._telemetry.models_refused.labels(reason=_reason(exc)).inc()
            self._refused[tenant] = replace(self._refused[tenant], why=str(exc))
            return None
        del self._refused[tenant]
        return champion

    def health(self) -> Health:
        """Say which champions were refused; forecasts go on without them, so that the node is ready all the same."""
        refused = [
            f"tenant {tenant} is served without its champion: {one.why}" for tenant, one in sorted(self._refused.items())
        ]
        return Health(True, "; ".join(refused) or "every champion serves")


class Rivals:
    """Puts the version that the champion is to be compared with beside it.

    Parameters
    ----------
    registry_of : callable
        The registry of a tenant.
    telemetry : Telemetry
        Where refused models are counted.
    home : callable
        Whether this node decides for a tenant. Another one may be of an earlier release, which cannot load what this one can.
    """

    def __init__(
        self, registry_of: Callable[[str], Registry], telemetry: Telemetry, home: Callable[[str], bool] = everywhere
    ) -> None:
        self._registry_of = registry_of
        self._telemetry = telemetry
        self._home = home
        self._refused: dict[str, str] = {}  # versions that could not be loaded, by tenant, where another node decides

    def __call__(self, tenant: str, members: Members) -> None:
        """Begin or end a tenant's comparison if the registry says so; a version that its home cannot load is dismissed, with the reason."""
        registry, rivalry = self._registry_of(tenant), members.rivalry
        wanted = registry.rival()
        name = wanted[0] if wanted and members.champion else None
        if name is not None and self._refused.get(tenant) == name and not self._home(tenant):
            name = None
        known = rivalry.rival.version if rivalry.rival else None
        if (name, members.version) == (known, rivalry.serves) or (name is None and known is None):
            return
        try:
            rival = None if name is None else _loaded(registry, name)
        except (SnapshotMismatch, UntrustedArtifact) as exc:
            self._telemetry.models_refused.labels(reason=_reason(exc)).inc()
            if self._home(tenant):
                registry.dismiss(who=_WHO, why=f"it cannot be compared: {exc}")
            else:
                self._refused[tenant] = str(name)
                logger.warning("model %s of tenant %s is not compared here: %s", name, tenant, exc)
            rival = None
        rivalry.begin(rival, members.version)


def bring_in(
    registry: Registry, version: ModelVersion, serves: str | None, patience: Patience, at: datetime, why: str = ""
) -> None:
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
    why : str
        What the gate found.
    """
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


@dataclass(frozen=True, slots=True)
class _Refused:
    """A champion that could not be loaded, until when it is left alone, and why."""

    version: str
    until_s: float
    why: str


def _loaded(registry: Registry, version_id: str) -> Champion:
    return Champion(version_id, registry.load(version_id, SCHEMA))


def _reason(exc: Exception) -> str:
    return "untrusted" if isinstance(exc, UntrustedArtifact) else "mismatch"
