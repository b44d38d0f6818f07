"""``foreshock forget``: a tenant's data, or one value of an attribute, removed from a folder that no node holds."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

from app.auth.audit import AuditLog, Deed
from app.forget import forget_tenant, forget_value, pseudonym
from app.main import open_alone
from app.operator import operator
from app.parts import utc_now
from app.settings import Settings
from app.store.moving import refuse_moved
from features.errors import InvalidSetting, InvalidValue

__all__ = ["forget"]


def forget(settings: Settings, tenant: str | None, attribute: str | None) -> tuple[dict[str, Any], str]:
    """Remove a tenant, or a value.

    Parameters
    ----------
    settings : Settings
        Of the node; with an existing folder.
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
        When a node holds the folder.
    InvalidSetting
        When state or history is not in the folder.
    InvalidValue
        When not one of both is given, or it cannot be removed.
    StoreFailed
        When the disk refused; the command can be called again.
    """
    if (tenant is None) == (attribute is None):
        raise InvalidValue(f"exactly one of --tenant and --attribute must be given, got {'both' if tenant else 'none'}")
    if settings.nats_url:
        raise InvalidSetting(
            "setting nats_url: on a cluster nothing is forgotten before its time; docs/data.md says what goes when"
        )
    if settings.history_url:
        raise InvalidSetting(
            "setting history_url: history must lie in the data folder to be changed for good, since object stores keep versions of their own; "
            "docs/data.md says how to remove rows there"
        )
    refuse_moved(settings.data)
    if tenant is not None:
        with _audited(settings, f"tenant {pseudonym(tenant)}"):  # the name goes with the data
            done, what = forget_tenant(settings, tenant), f"tenant {tenant}"
    else:
        key, equals, value = (attribute or "").partition("=")
        if not equals:
            raise InvalidValue(f"--attribute must be name=value, got {attribute!r}")
        with _audited(settings, f"a value of {key}"):  # which one would keep it
            done, what = forget_value(settings, key, value), f"a value of {key}"
    counted = ", ".join(f"{count} {name}" for name, count in done.items())
    return dict(done), f"forgot {what}: {counted}\nbackups are not changed: delete those that hold it"


@contextmanager
def _audited(settings: Settings, what: str) -> Generator[None]:
    """Write into the audit log that something is removed, before and after; what removes it has the store in between."""
    with _audit_of(settings) as audit:
        begun = audit.begin(Deed("forget", operator(), "", "", what))
    outcome = "refused"
    try:
        yield
        outcome = "done"
    finally:
        with _audit_of(settings) as audit:
            audit.end(begun, outcome)


@contextmanager
def _audit_of(settings: Settings) -> Generator[AuditLog]:
    with closing(open_alone(settings)) as store:
        yield AuditLog(store.documents, utc_now, settings.security.audit_s)
