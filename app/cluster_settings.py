"""Settings of a cluster: how its servers are spoken to, and how nodes share the work.

`app.settings` holds them, `app.store.cluster` and `app.parts` read them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ClusterSettings"]


class ClusterSettings(BaseModel):
    """A NATS JetStream cluster in the place of the data folder's store; only read where `nats_url` names one, but for `node`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    credentials: Path | None = None
    """File with a user's JWT and key, as `nsc` writes it. None connects without, or with what `nats_url` holds."""
    ca: Path | None = None
    """PEM file of the authority that signed the servers' certificates. None trusts those of the system, where a URL begins with `tls://`."""
    monitor_urls: tuple[str, ...] = ()
    """Addresses of the servers' monitoring, such as `http://n1:8222`, one for each server. They are asked at the start whether a server writes through to the disk before it answers. More than half must answer, so that a node can start while a server is down; one that writes nothing through, and says so, is refused."""
    allow_unsynced: bool = False
    """Start although a server does not say that it writes through (`sync_interval: always`). What was acknowledged within the last two minutes can then be lost when machines lose power."""
    replicas: int = Field(default=3, ge=1, le=5)
    """Servers that hold each message. 3 survive the loss of one; 1 survives none and is for trying out; 5 survive two, and each write waits for three."""
    partitions: int = Field(default=64, ge=1, le=1024)
    """Partitions of the log, fixed when the cluster is made, in the place of `store.partitions`. No more workers than that can share the work."""
    streams: int = Field(default=8, ge=1, le=64)
    """Streams over which partitions are spread, fixed when the cluster is made, so that several servers lead. More cost memory in every server."""
    node: str = Field(default="", max_length=128, pattern=r"^[A-Za-z0-9_.\-]*$")
    """Name of this node among the others, the same after a restart and unlike every other's. Empty takes the machine's name with a few random characters, kept in the data folder in the file `node`; set it where the folder does not outlive the process, else every restart is another node for a while."""
    weight: float = Field(default=1.0, gt=0.0, le=1000.0)
    """Share of this node beside the others' where `placement` is `weighted` or `least_loaded`. Twice the weight, twice the work; give a machine of twice the processors 2. Near 0 it holds hardly anything, far above the others' it holds nearly all."""
    placement: Literal["even", "weighted", "least_loaded"] = "even"
    """How partitions are shared: as many for each node, by the nodes' weights, or by weights with partitions counted by how much comes in. Like machines and many services need nothing but `even`; `least_loaded` moves partitions when loads change for long, each a take-over. What the node that started first says counts for all."""
    heartbeat_s: float = Field(default=0.5, ge=0.05, le=60.0)
    """Seconds between two heartbeats, each a small write to the cluster. Shorter finds nothing sooner by itself, `ttl_s` does; longer makes fewer writes and needs a longer `ttl_s`."""
    ttl_s: float = Field(default=3.0, ge=0.2, le=600.0)
    """Seconds without a heartbeat after which the others take a node for dead and take over what it held; more than three times `heartbeat_s`. Short values take partitions from nodes that are only slow for a moment, long ones leave those of a dead one unread for longer. A start listens for as long before it takes anything."""
    handover_s: float = Field(default=75.0, ge=0.0, le=3600.0)
    """Seconds for which a stop waits until everything was let go at the end of a tick, so that who takes over has nothing to read again. A tick and some seconds; 0 stops at once, and the others read again from the last checkpoint."""

    @model_validator(mode="after")
    def _outlives_heartbeats(self) -> Self:
        if not self.ttl_s > 3 * self.heartbeat_s:
            raise ValueError(f"ttl_s must be > three times heartbeat_s ({self.heartbeat_s})")
        return self
