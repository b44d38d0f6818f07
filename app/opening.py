"""Which store settings name, and opening it: a data folder's or a cluster's.

`app.main` opens a node's here, commands those that they go to without being a node. Nothing is imported that only a whole node needs, so that
such a command starts at once.
"""

from __future__ import annotations

from app.clock import utc_now
from app.settings import Settings
from app.store.cluster import join_cluster, open_cluster
from app.store.contract import Store
from app.store.jetstream import JetStreamStore
from app.store.moving import Target, refuse_moved
from app.store.sqlite import SqliteStore, open_store
from app.telemetry import Telemetry
from features.errors import InvalidValue

__all__ = ["join_target", "made", "open_alone", "store_of"]


def store_of(settings: Settings, telemetry: Telemetry) -> SqliteStore | JetStreamStore:
    """Open the family of the store that the settings name, as a node; to be closed by the caller.

    Raises
    ------
    DataInUse
        When another process holds the folder.
    InvalidSetting
        When the folder was made with other settings, or moved into a cluster.
    """
    if settings.nats_url:
        return open_cluster(settings, utc_now, telemetry)
    refuse_moved(settings.data)
    in_flight = settings.ingest.max_in_flight_bytes
    return open_store(
        settings.data,
        settings=settings.store,
        max_in_flight_bytes=in_flight,
        now=utc_now,
        telemetry=telemetry,
        key_file=settings.signing_key,
    )


def join_target(settings: Settings) -> Target:
    """Open the cluster that the settings name, as `foreshock migrate` moves a folder into it; to be closed by the caller."""
    return join_cluster(settings, utc_now, Telemetry())


def open_alone(settings: Settings) -> Store:
    """Open the store that the settings name without being a node: a folder that nobody holds, or a cluster beside its nodes.

    To be closed by the caller.
    """
    return join_target(settings) if settings.nats_url else store_of(settings, Telemetry())


def made(settings: Settings) -> Settings:
    """Return settings whose data folder is there: what only reads must not make one where a name was mistyped.

    Raises
    ------
    InvalidValue
        When the folder is no data folder.
    """
    if not settings.nats_url and not (settings.data / "store.db").is_file():
        raise InvalidValue(f"{settings.data} is no data folder of Foreshock: there is no store.db in it")
    return settings
