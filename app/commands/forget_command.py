"""``foreshock forget``: a tenant's data, or one value of an attribute, removed from a folder that no node holds, or from a stopped cluster."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

from app.auth.audit import AuditLog, Deed
from app.clock import utc_now
from app.forget import asked_tenant, asked_value, finish_earlier, forget_asked, pseudonym
from app.opening import open_alone
from app.operator import operator
from app.settings import Settings
from app.store.moving import refuse_moved
from features.errors import ForeshockError, InvalidValue

__all__ = ["forget"]

logger = logging.getLogger(__name__)


def forget(settings: Settings, tenant: str | None, attribute: str | None) -> tuple[dict[str, Any], str]:
    """Remove a tenant, or a value.

    Parameters
    ----------
    settings : Settings
        Of the node; with an existing folder, or a cluster.
    tenant : str or None
        Whose data goes.
    attribute : str or None
        ``name=value``. Exactly one of both is given.

    Returns
    -------
    report : dict
        How much of what changed or went.
    table : str
        The same for a terminal.

    Raises
    ------
    DataInUse
        When a node holds the folder, or is a member of the cluster, or an earlier call that asked for something else has not ended there.
    InvalidSetting
        When the folder was moved into a cluster that the settings do not name.
    InvalidValue
        When not one of both is given, it cannot be removed, or the nodes of the cluster did not stop in order.
    StoreFailed
        When the disk, the cluster or the object store refused; the command can be called again.
    """
    if (tenant is None) == (attribute is None):
        raise InvalidValue(f"exactly one of --tenant and --attribute must be given, got {'both' if tenant else 'none'}")
    if tenant is not None:
        asked, what = asked_tenant(tenant), f"tenant {tenant}"
        noted = f"tenant {pseudonym(tenant)}"  # the name goes with the data
    else:
        key, equals, value = (attribute or "").partition("=")
        if not equals:
            raise InvalidValue(f"--attribute must be name=value, got {attribute!r}")
        asked, what = asked_value(key, value), f"a value of {key}"
        noted = what  # which one would keep it
    finished = False
    if settings.nats_url:
        finished = finish_earlier(settings, asked)  # until then the cluster is opened by nobody
    else:
        refuse_moved(settings.data)
    with _audited(settings, noted):
        done = forget_asked(settings, asked)
    counted = ", ".join(f"{count} {name}" for name, count in done.items())
    before = ["an earlier call that did not end was brought to its end first"] if finished else []
    return dict(done), "\n".join((*before, f"forgot {what}: {counted}", *_left(settings)))


def _left(settings: Settings) -> Generator[str]:
    """Say what cannot be reached from here."""
    yield "backups are not changed: delete those that hold it"
    if settings.nats_url and not settings.history_url:
        yield "history was changed in this data folder alone: other nodes have their own, where the command is to be called too"
    if "://" in settings.history_url and not settings.history_url.startswith("file://"):
        yield "earlier versions of objects, where the object store keeps any, are not changed: delete them there"


@contextmanager
def _audited(settings: Settings, what: str) -> Generator[None]:
    """Write into the audit log that something is removed, before and after; what removes it has the store in between."""
    with _audit_of(settings) as audit:
        begun = audit.begin(Deed("forget", operator(), "", "", what))
    try:
        yield
    except BaseException:
        try:
            _end(settings, begun, "refused")
        except ForeshockError as exc:  # while a cluster is not put back nobody opens it; why it is not is what is to be told
            logger.warning("the audit log does not say that it was refused: %s", exc)
        raise
    _end(settings, begun, "done")


def _end(settings: Settings, begun: Deed, outcome: str) -> None:
    with _audit_of(settings) as audit:
        audit.end(begun, outcome)


@contextmanager
def _audit_of(settings: Settings) -> Generator[AuditLog]:
    with closing(open_alone(settings)) as store:
        yield AuditLog(store.documents, utc_now, settings.security.audit_s)
