"""The streams of a stopped cluster made anew without what is forgotten, in steps each of which can be the last one before a kill.

First all that stays is copied (`app.store.jetstream_copy`), then the streams take nothing more, and where nobody wrote meanwhile the copy is
whole; until then nothing was changed. Then the old streams are deleted, files and all, made again with their sequences going on, and filled
from the copy. While the copy is there no node opens the cluster. `app.forget_cluster` calls it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec
from nats.errors import Error as NatsError

from app.store.jetstream_answers import Draft, Stored
from app.store.jetstream_blank import ask
from app.store.jetstream_checkpoints import JetStreamCheckpoints
from app.store.jetstream_copy import (
    BLOBS,
    NEXT,
    NUMBERED,
    OF,
    TO,
    Batches,
    ClusterRewriting,
    Copied,
    copy_into,
    last_of,
    messages,
)
from app.store.jetstream_documents import STREAM, lasting
from app.store.jetstream_link import Link
from app.store.jetstream_log import JetStreamLog
from features.errors import DataInUse, ForeshockError, InvalidSetting, StoreFailed

__all__ = ["beating", "copy_cluster", "finish", "place", "refuse_unfinished", "release"]

logger = logging.getLogger(__name__)

_MARK, _PARKED, _BEAT = "fs.next.mark", "fs.next.parked", "fs.next.beat"
_CALL = "foreshock.call"
_NO_STREAM = 10059
WATCH_S = 20.0
"""Seconds for which a copy is watched before whoever made it counts as dead. Who lives says so each `_BEAT_S`, but not while the stream of
the copy has no leader: 5.7 s at most were measured."""

_BEAT_S = 0.5  # guessed: a small part of `WATCH_S`, and few bytes an hour
_TRIES, _PAUSE_S = 100, 0.1  # until a name that was just let go of is free
_IN_STEP_TRIES = 100  # guessed, as above: servers that live are in step within a second
_REMEDY = "bring them back, or remove them as peers"


class _Stream(msgspec.Struct):
    """How a stream is made again, and the sequence that it goes on with."""

    config: dict[str, Any]
    first: int


class _Plan(msgspec.Struct):
    """What is said at the end of a copy that is whole."""

    count: int
    streams: dict[str, _Stream]
    asked: str
    placed: bool = False


def refuse_unfinished(link: Link) -> None:
    """Refuse a cluster in which forgetting has begun and not ended.

    Raises
    ------
    InvalidSetting
        When there is a copy.
    """
    if _there(link, NEXT) is not None:
        raise InvalidSetting(
            "setting nats_url names a cluster in which `foreshock forget` has begun and not ended: let it run to its end, or call it again"
        )


@contextmanager
def beating(link: Link) -> Generator[None]:
    """Let others see until the end of the block that this call lives, also while nothing is copied or put back.

    Where there is no copy, nobody takes it. What is lost while a leader is elected, or none answers, is not sent again: the next one is.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            with suppress(StoreFailed, NatsError, OSError):
                link.call(link.client.publish(_BEAT, b""))

    thread = threading.Thread(target=beat, name="forget", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def copy_cluster(
    link: Link, log: JetStreamLog, checkpoints: JetStreamCheckpoints, rewriting: ClusterRewriting, now_s: float
) -> Counter[str]:
    """Copy what stays, and return how much of what changes or goes; see `copy_into`.

    Raises
    ------
    DataInUse
        When another call is at it.
    StoreFailed
        When a server is away, whose disk would keep what is forgotten, somebody wrote to the cluster meanwhile, or as `copy_into`. Nothing was
        changed; where the cluster cannot even be left as it was, the error says so, and the next call does it.
    """
    names = [STREAM, BLOBS, *(log.layout.stream(number) for number in range(log.layout.streams))]
    found = {name: ask(link, f"STREAM.INFO.{name}", {}) for name in names}
    for name, answer in found.items():
        _refuse_away(name, answer)
    call = uuid4().hex
    _make_copy(link, call, found[STREAM]["config"])
    try:
        copied = copy_into(link, log, checkpoints, rewriting, now_s)
        configs = {name: _made_of(found[name]["config"]) for name in copied.ends}
        _park(link, configs, copied)
        streams = {name: _Stream(config, copied.ends[name] + 1) for name, config in configs.items()}
        _say(link, _MARK, _Plan(copied.count, streams, rewriting.asked))
    except BaseException as exc:
        try:
            there = _there(link, NEXT)
            if there is not None and there["config"]["metadata"].get(_CALL) == call:
                _abandon(link)
        except ForeshockError as second:
            logger.warning("what was copied cannot be undone: %s", second)
            if isinstance(exc, ForeshockError):
                exc.args = (f"{exc}; what was copied is not undone, and no node starts until another call has undone it",)
        raise
    return copied.done


def place(link: Link) -> None:
    """Make the streams of a whole copy anew and fill them from it; called again it begins anew.

    Raises
    ------
    StoreFailed
        When the copy lacks a message: then nothing was deleted that was not before. When the cluster refused, or a server took no part; the
        copy is there, and what is not done is done by the next call.
    """
    plan = _plan(link)
    if plan is None:
        raise StoreFailed(f"stream {NEXT} holds no whole copy")
    if plan.placed:
        return
    for _ in _copied(link, plan.count):
        pass  # it is there to its end, and can be read, before anything is deleted
    for name, made in plan.streams.items():
        _make_anew(link, name, made)
    state = Batches(link, STREAM)
    for number, stored in enumerate(_copied(link, plan.count)):
        name, draft = stored.headers[OF], Draft(stored.headers[TO], stored.data)
        if name != STREAM:
            # The sequences of one subject are those of the copy: an answer that was lost must not store it twice.
            link.call(link.publish(name, Draft(draft.subject, draft.data, {"Nats-Msg-Id": f"{NEXT}-{number}"})))
            continue
        kept = lasting(draft, time.time()) if draft.subject.startswith("fs.doc.") else draft
        if kept is not None:
            state.add(kept)
    state.flush()
    for name in plan.streams:
        _await_all(link, name)
    _say(link, _MARK, msgspec.structs.replace(plan, placed=True))


def release(link: Link) -> None:
    """Remove a copy that was put back, so that nodes may start; one that was not stays."""
    if _there(link, NEXT) is not None:
        plan = _plan(link)
        if plan is not None and plan.placed:
            _delete(link, NEXT)


def finish(link: Link, asked: str, rest: Callable[[], object], watch_s: float | None = None) -> bool:
    """Bring to its end what a call that was killed left, and return whether there was anything.

    Parameters
    ----------
    link : Link
        The connection.
    asked : str
        A fingerprint of what is asked for now; a whole copy must have been made for the same.
    rest : callable
        Does what such a call does once the streams are as they are to be; nodes are kept out meanwhile.
    watch_s : float, optional
        Seconds for which is looked whether that call lives, `WATCH_S` by default.

    Raises
    ------
    DataInUse
        When that call lives, or asked for something else and is not undone; the copy stays.
    StoreFailed
        When the cluster refused, or as `rest`.
    """
    if _there(link, NEXT) is None:
        return False
    before, until_s = _written(link), time.monotonic() + (WATCH_S if watch_s is None else watch_s)
    while time.monotonic() < until_s:
        time.sleep(_PAUSE_S)
        if _written(link) != before:
            raise DataInUse("another `foreshock forget` works on the cluster now: wait for its end")
    plan = _plan(link)
    if plan is not None and plan.asked != asked:
        raise DataInUse("an earlier call for another tenant or value has not ended: call it again for that first")
    with beating(link):
        if plan is None:
            _abandon(link)
            return True
        place(link)
        try:
            rest()
        finally:
            release(link)
    return True


def _make_copy(link: Link, call: str, like: Mapping[str, Any]) -> None:
    wanted: dict[str, Any] = {
        "name": NEXT,
        "subjects": ["fs.next.>"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": like["num_replicas"],
        "allow_direct": True,
        "allow_atomic": True,
        "metadata": {_CALL: call},
    }
    if "placement" in like:
        wanted["placement"] = like["placement"]
    answer = link.call(link.api(f"STREAM.CREATE.{NEXT}", wanted))
    if "error" in answer:
        said = answer["error"].get("description")
        if _there(link, NEXT) is not None:
            raise DataInUse(f"another `foreshock forget` works on the cluster now: {said}")
        raise StoreFailed(f"stream {NEXT} cannot be made: {said}")


def _park(link: Link, configs: Mapping[str, Mapping[str, Any]], copied: Copied) -> None:
    """Let streams take nothing more, and see that they hold what was copied: who came before the copy may write still."""
    _say(link, _PARKED, configs)
    for name, config in configs.items():
        ask(link, f"STREAM.UPDATE.{name}", {**config, "subjects": [f"fs.parked.{name}.>"]})
    for name, end in copied.ends.items():
        if last_of(link, name) != end:
            raise StoreFailed(f"stream {name} was written to meanwhile: all nodes must be stopped; nothing was changed")


def _abandon(link: Link) -> None:
    """Remove a copy that is not whole, and let the streams take what they took before."""
    stored = link.call(link.newest(NEXT, _PARKED))
    for name, config in {} if stored is None else msgspec.json.decode(stored.data, type=dict[str, dict[str, Any]]).items():
        ask(link, f"STREAM.UPDATE.{name}", config)
    _delete(link, NEXT)


def _copied(link: Link, count: int) -> Generator[Stored]:
    """Iterate over the messages of a whole copy, and fail where one is not there or out of its order."""
    for number, stored in enumerate(islice(messages(link, NEXT, f"{NUMBERED}>"), count)):
        if stored.subject != f"{NUMBERED}{number}":
            raise StoreFailed(f"message {number} of stream {NEXT} must be there, got {stored.subject}")
        yield stored


def _made_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config by which a stream is made again: without what servers say of themselves in it."""
    own = {name: value for name, value in config.get("metadata", {}).items() if not name.startswith("_nats.")}
    return {**config, "metadata": own}


def _make_anew(link: Link, name: str, made: _Stream) -> None:
    """Delete a stream with its files and make it again, empty, with its sequences going on."""
    _delete(link, name)
    for tries in range(_TRIES):
        answer = link.call(link.api(f"STREAM.CREATE.{name}", made.config))
        if "error" not in answer:
            break
        if tries == _TRIES - 1:
            raise StoreFailed(f"stream {name} cannot be made again: {answer['error'].get('description')}")
        time.sleep(_PAUSE_S)
    ask(link, f"STREAM.PURGE.{name}", {"seq": made.first})
    if (found := last_of(link, name) + 1) != made.first:
        raise StoreFailed(f"stream {name} must go on at sequence {made.first}, got {found}")


def _away(answer: Mapping[str, Any]) -> str:
    """Return the servers of a stream that are not in step, by what its leader says; empty where all are."""
    others = answer.get("cluster", {}).get("replicas") or ()
    return ", ".join(sorted(each["name"] for each in others if each.get("offline") or not each["current"]))


def _refuse_away(name: str, answer: Mapping[str, Any]) -> None:
    if away := _away(answer):
        raise StoreFailed(f"stream {name}: the servers {away} are away or behind, and would keep what is forgotten: {_REMEDY}")


def _await_all(link: Link, name: str) -> None:
    """Wait until all servers of a stream have it as it is now: one that has it made has deleted the old one before."""
    tries = 0
    while away := _away(ask(link, f"STREAM.INFO.{name}", {})):
        tries += 1
        if tries == _IN_STEP_TRIES:
            break
        time.sleep(_PAUSE_S)
    else:
        return
    raise StoreFailed(
        f"stream {name}: the servers {away} did not take part, and keep what is forgotten: {_REMEDY}, and call again"
    )


def _say(link: Link, subject: str, said: object) -> None:
    link.call(link.publish(NEXT, Draft(subject, msgspec.json.encode(said))))


def _plan(link: Link) -> _Plan | None:
    stored = link.call(link.newest(NEXT, _MARK))
    return None if stored is None else msgspec.json.decode(stored.data, type=_Plan)


def _written(link: Link) -> list[int]:
    """Return how far all streams are, 0 for those that are not there."""
    plan = _plan(link)
    return [
        0 if (there := _there(link, name)) is None else int(there["state"]["last_seq"])
        for name in (NEXT, *(sorted(plan.streams) if plan else ()))
    ]


def _delete(link: Link, name: str) -> None:
    """Delete a stream with its files; one that is gone is fine, also by an earlier try whose answer was lost."""
    answer = link.call(link.api(f"STREAM.DELETE.{name}"))
    if "error" in answer and answer["error"].get("err_code") != _NO_STREAM:
        raise StoreFailed(f"stream {name} cannot be deleted: {answer['error'].get('description')}")


def _there(link: Link, name: str) -> dict[str, Any] | None:
    answer = link.call(link.api(f"STREAM.INFO.{name}"))
    if "error" in answer:
        if answer["error"].get("err_code") == _NO_STREAM:
            return None
        raise StoreFailed(f"stream {name} cannot be asked: {answer['error'].get('description')}")
    return answer
