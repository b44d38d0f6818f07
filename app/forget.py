"""A tenant, or one value of an attribute, removed from everything that a stopped node's folder, or a stopped cluster, holds.

`app.commands.forget_command` calls it. In a folder log, state and documents change in one transaction, just before whose end models go; in
a cluster `app.forget_cluster` makes the streams anew; then history follows. What was killed in between is done again by the same command,
and ends the same; on a cluster no other one is begun before. No node can start meanwhile.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import msgspec

from app import forget_cluster
from app.auth import audit, tokens
from app.edge import sessions
from app.flow import Flow, FlowPlan
from app.forgotten_value import ForgottenValue
from app.history import erase
from app.ingest.codec import BatchMessage, Message, pack, unpack
from app.parts import memory_plan
from app.settings import Settings
from app.store.contract import Rewriting, State
from app.store.file_blobs import FileBlobs
from app.store.folder import FolderLock
from app.store.sqlite_rewrite import partitions_of, rewrite
from app.summaries import BUCKET as SUMMARIES
from app.telemetry import Telemetry
from features.errors import InvalidValue
from features.event import ErrorRecord
from features.rules import Rules

__all__ = [
    "Asked",
    "asked_tenant",
    "asked_value",
    "finish_earlier",
    "forget_asked",
    "pseudonym",
]

_TENANT = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_OWN_BUCKETS = frozenset({audit.BUCKET, tokens.BUCKET})
"""What the operator keeps of who may do and did what; it is no tenant's data, and goes its own way."""

_LEARNED = ("learners", "forests")  # as app.lane names them
_TEXTS = ("memory/head", "errors/repeats", "errors/templates", "errors/recent", "flow/open")  # where a tenant's name can stand


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked to be forgotten.

    Parameters
    ----------
    fingerprint : str
        Of all that was asked for; it says nothing to who does not know it.
    rewriting : callable
        Takes the settings and returns anew what becomes of what a store holds: some remember what they saw.
    history : callable
        Takes where history lies and options of the object store, and returns how many rows changed or went.
    """

    fingerprint: str
    rewriting: Callable[[Settings], Rewriting]
    history: Callable[[Path | str, Mapping[str, str]], int]


def asked_tenant(tenant: str) -> Asked:
    """Return what it is to forget a tenant.

    Parameters
    ----------
    tenant : str
        1 to 128 of A-Z a-z 0-9 _ . -.

    Raises
    ------
    InvalidValue
        When there can be no such tenant.
    """
    if not _TENANT.fullmatch(tenant):
        raise InvalidValue(f"a tenant must be 1 to 128 of A-Z a-z 0-9 _ . -, got {tenant!r}")

    def rewriting(settings: Settings) -> Rewriting:
        forgetting = _Tenant(settings, tenant)
        return Rewriting(forgetting.entry, forgetting.state, forgetting.document, forgetting.blobs)

    return Asked(_fingerprint("tenant", tenant), rewriting, lambda place, options: erase.remove_tenant(place, tenant, options))


def asked_value(key: str, value: str) -> Asked:
    """Return what it is to forget a value of an attribute.

    Parameters
    ----------
    key, value : str
        The attribute's name, and the value.

    Raises
    ------
    InvalidValue
        As `ForgottenValue`.
    """
    forgotten = ForgottenValue(key, value)
    forgetting = _Value(forgotten)
    rewriting = Rewriting(forgetting.entry, forgetting.state, forgetting.document)
    return Asked(
        _fingerprint("value", key, value),
        lambda _settings: rewriting,
        lambda place, options: erase.change_texts(place, forgotten.row_text, options),
    )


def forget_asked(settings: Settings, asked: Asked) -> Counter[str]:
    """Remove what is asked for from a folder or a cluster, and return how much of what changed or went.

    Parameters
    ----------
    settings : Settings
        Of the node.
    asked : Asked
        What goes.

    Raises
    ------
    DataInUse
        When a node holds the folder, or is a member of the cluster, or an earlier call that asked for something else has not ended there.
    InvalidValue
        When it cannot be removed, or the nodes of the cluster did not stop in order.
    StoreFailed
        When the disk or the cluster refused.
    """
    with _held(settings):
        if not settings.nats_url:
            done = _rewritten_folder(settings, asked, settings.store.partitions)
            done.update(_rewritten_history(settings, asked))
            return done
        rest = _beside(settings, asked)
        forget_cluster.finish_earlier(settings, asked.fingerprint, rest)
        with forget_cluster.rewritten_cluster(settings, asked.rewriting(settings), asked.fingerprint) as done:
            done.update(rest())
        return done


def finish_earlier(settings: Settings, asked: Asked) -> bool:
    """Bring an earlier call for the same that was killed to its end in a cluster, history too, and return whether there was one.

    Raises
    ------
    DataInUse
        When that call lives, or has changed the cluster and asked for something else.
    StoreFailed
        When the disk or the cluster refused.
    """
    with _held(settings):
        return forget_cluster.finish_earlier(settings, asked.fingerprint, _beside(settings, asked))


def _fingerprint(*asked: str) -> str:
    return sha256(json.dumps(asked).encode()).hexdigest()


@contextmanager
def _held(settings: Settings) -> Generator[None]:
    """Keep nodes away from the folder until the end of the block."""
    lock = FolderLock(settings.data)
    try:
        yield
    finally:
        lock.release()


def _histories(settings: Settings) -> list[tuple[Path | str, dict[str, str]]]:
    """Return where history lies, with the options of the object store, and where it lay before there was a `history_url`."""
    options = {name: value.get_secret_value() for name, value in settings.history_options.items()}
    places: list[tuple[Path | str, dict[str, str]]] = [(settings.history_url, options)] if settings.history_url else []
    return [*places, (settings.data / "history", {})]


def _beside(settings: Settings, asked: Asked) -> Callable[[], Counter[str]]:
    """Return what changes what lies beside a cluster: the folder's store as it was when it was moved into it, and history.

    A store that cannot be opened is refused here, before the cluster is changed. How many partitions it has it says itself: those of the
    settings are of no node any more.
    """
    moved = settings.data / "store.db"
    partitions = partitions_of(moved) if moved.is_file() else None

    def rewritten() -> Counter[str]:
        done = Counter[str]() if partitions is None else _rewritten_folder(settings, asked, partitions)
        done.update(_rewritten_history(settings, asked))
        return done

    return rewritten


def _rewritten_folder(settings: Settings, asked: Asked, partitions: int) -> Counter[str]:
    blobs = FileBlobs(settings.data / "blobs")
    return rewrite(settings.data / "store.db", partitions, asked.rewriting(settings), blobs.remove)


def _rewritten_history(settings: Settings, asked: Asked) -> Counter[str]:
    return Counter(history=sum(asked.history(place, options) for place, options in _histories(settings)))


def _message(data: bytes) -> Message | None:
    try:
        return unpack(data)
    except InvalidValue:
        return None  # the worker skips what it cannot read, so nobody misses it


def pseudonym(tenant: str) -> str:
    """Return what the audit log calls a tenant that was forgotten.

    Examples
    --------
    >>> pseudonym("team-a")
    'sha256:96c2886c51d1'
    """
    return f"sha256:{sha256(tenant.encode()).hexdigest()[:12]}"


class _Tenant:
    """What becomes of what a folder holds without a tenant."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self._artifacts: set[str] = set()
        self._kept_artifacts: set[str] = set()
        self._settings = settings
        self._tenant = tenant
        self._prefix = f"{quote(tenant, safe='')}/"

    def entry(self, data: bytes) -> bytes | None:
        message = _message(data)
        own = message.tenant == self._tenant if isinstance(message, BatchMessage) else message is None and self._names(data)
        return None if own else data

    def state(self, partition: int, state: State) -> State:
        kept = {key: value for key, value in state.items() if not self._is_learned(key)}
        if not any(self._names(kept.get(name, b"")) for name in _TEXTS):
            return kept
        flow = Flow(FlowPlan(memory_plan(self._settings), Rules(), 0), Telemetry())
        flow.restore(partition, kept)
        changed = flow.snapshot(partition, without=self._tenant)
        gone = {key for key in kept if key.startswith("memory/")} - changed.keys()
        return {key: value for key, value in kept.items() if key not in gone} | changed

    def document(self, bucket: str, key: str, value: bytes) -> bytes | None:
        if bucket == audit.BUCKET and self._names(value):
            return self._nameless(value)
        if bucket == sessions.BUCKET and self._names(value):
            return None  # who is logged in for it logs in again
        if bucket == SUMMARIES:
            return None  # of all tenants together, packed; the next tick makes them anew
        own = key.startswith(self._prefix) and bucket not in _OWN_BUCKETS
        if bucket == "models":
            (self._artifacts if own else self._kept_artifacts).update(found.decode() for found in _SHA256.findall(value))
        return None if own else value

    def blobs(self) -> frozenset[str]:
        """Return the hashes of what models of no other tenant are."""
        return frozenset(self._artifacts - self._kept_artifacts)

    def _is_learned(self, key: str) -> bool:
        return any(key.startswith(f"{prefix}/{self._tenant}/") for prefix in _LEARNED)

    def _names(self, data: bytes) -> bool:
        return self._tenant.encode() in data

    def _nameless(self, value: bytes) -> bytes:
        """Let the audit log go on saying who did what and when, of a tenant that only who knows its name can tell."""
        deed = msgspec.json.decode(value, type=audit.Deed)
        own = deed.tenant == self._tenant
        return msgspec.json.encode(replace(deed, tenant=pseudonym(self._tenant) if own else deed.tenant, object=""))


class _Value:
    """What becomes of what a folder holds without a value of an attribute."""

    def __init__(self, forgotten: ForgottenValue) -> None:
        self._forgotten = forgotten

    def entry(self, data: bytes) -> bytes | None:
        message = _message(data)
        if not isinstance(message, BatchMessage):
            return None if message is None and self._forgotten.value.encode() in data else data
        batch = message.batch
        self._forgotten.refuse_names(name for series in batch.series for name in series)
        errors = tuple(self._record(record) for record in batch.errors)
        return data if errors == batch.errors else pack(replace(message, batch=replace(batch, errors=errors)))

    def state(self, _partition: int, state: State) -> State:
        changed = dict(state)
        if "memory/head" in state:
            keys = json.loads(state["memory/head"])["keys"]
            self._forgotten.refuse_names(name for _, service, operation in keys for name in (service, operation))
        for name, change in (("errors/recent", self._forgotten.document), ("errors/templates", self._forgotten.templates)):
            if name in state:
                found = msgspec.msgpack.decode(state[name], type=dict[str, bytes])
                after = {key: change(value) for key, value in found.items()}
                if after != found:
                    changed[name] = msgspec.msgpack.encode(after)
        return changed

    def document(self, bucket: str, _key: str, value: bytes) -> bytes | None:
        if bucket == "models" or bucket in _OWN_BUCKETS:
            return value  # signed, and without texts of errors
        if value[:2] == b"\x1f\x8b":
            page = gzip.decompress(value).decode()
            after = self._forgotten.text(page)
            return value if after == page else gzip.compress(after.encode(), mtime=0)
        return self._forgotten.document(value)

    def _record(self, record: ErrorRecord) -> ErrorRecord:
        carries = self._forgotten.is_in(record.attributes)
        attributes: Mapping[str, str] = self._forgotten.attributes(record.attributes, carries=carries)
        changes = {
            name: self._forgotten.text(getattr(record, name), carries=carries)
            for name in ("exception_type", "message", "stack")
        }
        changed = replace(record, attributes=attributes, **changes)
        return record if changed == record else changed
