"""Everything durable of a cluster, in the streams of NATS JetStream: the other family beside `app.store.sqlite`.

`app.main` opens it; ingest, worker and API receive the contract that each of them needs, and do not know which family it is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg
from nats.js.api import ObjectStoreConfig
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from app.settings import Settings
from app.store.jetstream_blank import count_messages, empty_all
from app.store.jetstream_blobs import JetStreamBlobs
from app.store.jetstream_checkpoints import JetStreamCheckpoints
from app.store.jetstream_copy import ClusterRewriting
from app.store.jetstream_documents import NEWS, STREAM, JetStreamDocuments
from app.store.jetstream_link import Link
from app.store.jetstream_log import WAKE, JetStreamLog, LogPlan
from app.store.jetstream_places import Fill, Layout
from app.store.jetstream_rewrite import copy_cluster, refuse_unfinished
from app.telemetry import Telemetry
from features.errors import InvalidSetting, StoreFailed

__all__ = ["ClusterPlan", "JetStreamStore", "open_jetstream"]

_OLDEST = (2, 12)
_DEDUPE_NS = 120 * 10**9  # for how long a message that is sent again is known; longer than anybody tries
_LARGEST_BYTES = 4 * 2**20  # of a message of the log, see `app.ingest.receive`; NATS's own bound is 1 MiB
_NO_STREAM, _NO_PEERS = 10059, 10005
_TRIES, _PAUSE_S = 20, 0.25  # guessed: until servers that were started a moment ago know each other's room
_BLOBS = "FS_BLOBS"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """How the streams of a cluster are made.

    Parameters
    ----------
    partitions, streams : int
        Partitions of the log, fixed when the cluster is made, and the streams over which they are spread.
    replicas : int
        Of every stream.
    window_s : float
        Seconds for which appends of a partition are gathered.
    max_in_flight_bytes : int
        Bytes that may wait before appends are refused.
    max_bytes : int
        Bytes that the log may hold, an even share in each stream; 0 for any number.
    """

    partitions: int = 64
    streams: int = 8
    replicas: int = 3
    window_s: float = 0.005
    max_in_flight_bytes: int = 2**28
    max_bytes: int = 0

    @classmethod
    def of(cls, settings: Settings) -> ClusterPlan:
        """Return what the settings say."""
        cluster, window_s = settings.cluster, settings.store.commit_window_ms / 1000
        in_flight, most = settings.ingest.max_in_flight_bytes, settings.store.log_max_bytes
        return cls(cluster.partitions, cluster.streams, cluster.replicas, window_s, in_flight, most)


class JetStreamStore:
    """The four contracts over a cluster; made by `open_jetstream`.

    Attributes
    ----------
    log : JetStreamLog
        The durable log.
    checkpoints : JetStreamCheckpoints
        State, offset and outputs by partition.
    documents : JetStreamDocuments
        Buckets of small documents.
    blobs : JetStreamBlobs
        Content-addressed bytes.
    signing_key : bytes
        With which models are signed; whoever opens the store for a node gives it the node's.
    """

    signing_key: bytes = b""

    def __init__(self, link: Link, log: JetStreamLog, objects: ObjectStore, now: Callable[[], datetime]) -> None:
        self._link = link
        self.closed: Callable[[], None] = lambda: None  # called once the cluster is let go of
        self.log = log
        self.documents = JetStreamDocuments(link, now)
        self.checkpoints = JetStreamCheckpoints(link, self.documents, log.n_partitions)
        self.blobs = JetStreamBlobs(link, objects)
        link.call(self._listen())

    @property
    def failure(self) -> str:
        """Why nothing is written any more, empty while all is well: a cluster that is away is waited for."""
        return ""

    @property
    def trouble(self) -> str:
        """Which parts of the cluster are away for long and why, empty while all is well; they are waited for."""
        return self._link.trouble

    def messages(self) -> int:
        """Return how many messages log, state and documents hold; see `app.store.moving`."""
        return count_messages(self._link, self.log.layout)

    def empty(self, above: int) -> int:
        """Forget log, state and documents, and return an offset, not below the given one, above which the log goes on."""
        return empty_all(self._link, self.log.layout, above)

    def copy(self, rewriting: ClusterRewriting) -> Counter[str]:
        """Copy what stays of a stopped cluster, and return how much goes; see `app.store.jetstream_rewrite.copy_cluster`."""
        return copy_cluster(self._link, self.log, self.checkpoints, rewriting, self.documents.now_s())

    def close(self) -> None:
        """Let go of the cluster; a second call does nothing."""
        try:
            self.log.close()
            self.documents.close()
            self._link.close()
        finally:
            self.closed()

    def __enter__(self) -> JetStreamStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _listen(self) -> None:
        async def woken(message: Msg) -> None:
            self.log.told(message.data)

        async def told(_: Msg) -> None:
            self.documents.tell()

        await self._link.client.subscribe(WAKE, cb=woken)
        await self._link.client.subscribe(NEWS, cb=told)


def open_jetstream(
    connect: Mapping[str, Any], plan: ClusterPlan, now: Callable[[], datetime], telemetry: Telemetry | None = None
) -> JetStreamStore:
    """Open the store of a cluster, or make its streams.

    Parameters
    ----------
    connect : mapping
        Options of `nats.connect`, ``servers`` among them.
    plan : ClusterPlan
        How streams are made; the partitions must be those that they were made with.
    now : Callable
        The clock that documents expire by; aware.
    telemetry : Telemetry, optional
        Where the store counts.

    Returns
    -------
    JetStreamStore
        To be closed by the caller.

    Raises
    ------
    InvalidSetting
        When the server is too old or takes too small messages only, the streams were made otherwise, or something is being forgotten in them.
    StoreFailed
        When the cluster does not answer or cannot make the streams.
    """
    telemetry = telemetry or Telemetry()
    link = Link(connect, telemetry)
    try:
        version = link.client.connected_server_version
        if (version.major, version.minor) < _OLDEST:
            raise InvalidSetting(f"the NATS server must be of version {_OLDEST[0]}.{_OLDEST[1]} or newer, got {version}")
        if link.max_bytes < _LARGEST_BYTES:
            raise InvalidSetting(
                f"max_payload of the NATS servers must be above {_LARGEST_BYTES}, got {link.client.max_payload}; 8MB is well"
            )
        refuse_unfinished(link)
        _make_all(link, plan)
        layout = Layout(plan.partitions, plan.streams)
        log = JetStreamLog(link, layout, LogPlan(plan.window_s, plan.max_in_flight_bytes, plan.max_bytes), telemetry)
        return JetStreamStore(link, log, link.call(link.insist(_BLOBS, lambda: _objects(link, plan))), now)
    except BaseException:
        link.close()
        raise


def _state_stream(plan: ClusterPlan) -> dict[str, Any]:
    common = _stream(STREAM, ["fs.state.>", "fs.doc.>"], plan)
    return common | {"max_msgs_per_subject": 1, "allow_atomic": True, "allow_msg_ttl": True}


def _log_stream(plan: ClusterPlan, number: int) -> dict[str, Any]:
    # With `discard: new` what is too much is refused, and nothing is dropped.
    most = Fill.hard_bytes(Layout(plan.partitions, plan.streams).share(plan.max_bytes))
    return _stream(f"FS_LOG_{number}", [f"fs.log.{number}.>"], plan) | {"max_bytes": most}


def _stream(name: str, subjects: list[str], plan: ClusterPlan) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": subjects,
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": plan.replicas,
        "allow_direct": True,
        "duplicate_window": _DEDUPE_NS,
        "metadata": {"foreshock.partitions": str(plan.partitions), "foreshock.streams": str(plan.streams)},
    }


def _make_all(link: Link, plan: ClusterPlan) -> None:
    """Make the streams of a new cluster, that of the state last, or see that all are there and made alike.

    One that was lost is not made again: its offsets would begin below those that the state has passed, and what is appended would never
    be read.
    """
    made = {f"FS_LOG_{n}": _log_stream(plan, n) for n in range(plan.streams)} | {STREAM: _state_stream(plan)}
    there = {name: link.call(link.api(f"STREAM.INFO.{name}")) for name in made}
    gone = [name for name, answer in there.items() if "error" in answer and answer["error"].get("err_code") == _NO_STREAM]
    used = STREAM not in gone or any(answer["state"]["last_seq"] for answer in there.values() if "error" not in answer)
    if (
        gone
        and used
        and all(wanted["metadata"] == _metadata_of(there[name]) for name, wanted in made.items() if name not in gone)
    ):
        raise StoreFailed(
            f"the streams {', '.join(gone)} are gone, though others of the cluster hold data: bring them back from a backup, "
            "or remove all FS_ streams to begin anew"
        )
    for name, wanted in made.items():
        _make(link, name, wanted, there[name])


def _metadata_of(answer: Mapping[str, Any]) -> dict[str, str]:
    found = answer.get("config", {}).get("metadata", {})
    return {name: value for name, value in found.items() if name.startswith("foreshock.")}


def _make(link: Link, name: str, wanted: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """Make a stream if it is not there by the answer, or see that it was made alike."""
    if "error" in answer and answer["error"].get("err_code") == _NO_STREAM:
        for _ in range(_TRIES):
            answer = link.call(link.api(f"STREAM.CREATE.{name}", wanted))
            if answer.get("error", {}).get("err_code") != _NO_PEERS:
                break
            time.sleep(_PAUSE_S)
    if "error" in answer:
        raise StoreFailed(
            f"stream {name} cannot be made: {answer['error'].get('description')}; it asks the servers for {wanted.get('max_bytes', -1)} bytes"
        )
    there = answer["config"]
    for setting, label in (("foreshock.partitions", "partitions"), ("foreshock.streams", "streams")):
        asked, found = wanted["metadata"][setting], there.get("metadata", {}).get(setting)
        if asked != found:
            raise InvalidSetting(f"the cluster was made with {found} {label}, got {asked}; they are fixed")
    _bound(link, name, wanted, answer)
    if there["num_replicas"] < wanted["num_replicas"]:
        raise InvalidSetting(f"stream {name} has {there['num_replicas']} replicas, {wanted['num_replicas']} are asked for")


def _bound(link: Link, name: str, wanted: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Give a stream the bound in bytes that is asked for, unless it holds more already: it is trimmed to it first."""
    most, there = wanted.get("max_bytes", -1), answer["config"]
    if most == there.get("max_bytes", -1) or 0 <= most < answer["state"]["bytes"]:
        return
    changed = link.call(link.api(f"STREAM.UPDATE.{name}", {**there, "max_bytes": most}))
    if "error" in changed:
        raise InvalidSetting(
            f"setting store.log_max_bytes: stream {name} cannot hold {most} bytes: {changed['error'].get('description')}"
        )


async def _objects(link: Link, plan: ClusterPlan) -> ObjectStore:
    stream = link.client.jetstream()
    try:
        return await stream.object_store(_BLOBS)
    except NotFoundError:
        return await stream.create_object_store(_BLOBS, config=ObjectStoreConfig(replicas=plan.replicas))
