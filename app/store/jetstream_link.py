"""One multiplexed connection to a NATS JetStream cluster, for callers on threads.

The other `jetstream_*` modules say what they want in terms of subjects and expected sequences; here it is sent, sent again while the
cluster has no leader, and its refusals become the errors of `features.errors`. The connection lives on an event loop on a thread of its
own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from features.errors import StoreFailed

__all__ = ["EXPECTED", "MAX_BATCH", "Draft", "Link", "Refused", "Stored"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
"""Header of a compare-and-set: the sequence of the newest message of the subject, 0 for none."""

MAX_BATCH = 1000
"""Messages of an atomic batch at most; the server's own limit."""

_WRONG_SEQUENCE = (10071, 10164)  # of one message, and of one in a batch
_NO_MESSAGE = 10037
_UNAVAILABLE = 503
_REQUEST_S = 2.0  # guessed: a leader that lives answers sooner
_PAUSE_S = 0.1
_PATIENCE_S = 10.0
"""For how long is tried again. Twice the longest time without a leader that was measured (ENGINE: 5.7 s)."""

_MARK = "Fs-Id"  # names one write, so that after a lost answer it can be told whether it was taken


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be stored.

    Parameters
    ----------
    subject : str
        Where.
    data : bytes
        What.
    headers : Mapping of str to str
        `EXPECTED` among them for a compare-and-set.
    """

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream, with its sequence."""

    subject: str
    sequence: int
    data: bytes
    headers: Mapping[str, str]


class Refused(Exception):
    """The server stored nothing, because a compare-and-set lost."""


class Link:
    """A connection and the loop that it lives on.

    Parameters
    ----------
    connect : callable
        Returns options for `nats.connect`, servers among them.

    Raises
    ------
    StoreFailed
        When no server can be reached.
    """

    def __init__(self, connect: Mapping[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._closed = False
        heard: list[Exception] = []

        async def hear(exc: Exception) -> None:
            logger.warning("the cluster said: %s", exc)
            heard[:] = [exc]

        options: dict[str, Any] = {"error_cb": hear, "max_reconnect_attempts": -1, "reconnect_time_wait": _PAUSE_S, **connect}
        try:
            self.client: Client = self.call(nats.connect(**options))
        except (NatsError, OSError, TimeoutError) as exc:
            self._end_loop()
            raise StoreFailed(f"no server of {connect.get('servers')} lets us in: {heard[0] if heard else exc}") from exc

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return what it returns. Blocks; never call it on the loop."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop.

        Raises
        ------
        StoreFailed
            When the link is closed.
        """
        if self._closed:
            work.close()
            raise StoreFailed("the connection to the cluster is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def soon(self, do: Callable[[], object]) -> None:
        """Call something on the loop."""
        self._loop.call_soon_threadsafe(do)

    def close(self) -> None:
        """Send what is buffered and let go; a second call does nothing."""
        if not self._closed:
            try:
                self.call(_close(self.client))
            finally:
                self._closed = True
                self._end_loop()

    async def api(self, name: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream's API and return its answer, an error of its own among them; ask again while nobody answers."""
        data = b"" if asked is None else json.dumps(asked).encode()
        return await self._insist(name, lambda: self._ask(f"$JS.API.{name}", data))

    async def publish(self, stream: str, draft: Draft) -> int:
        """Store a message and return its sequence.

        A draft with `EXPECTED` is not stored twice, also when an answer is lost. One without may be, unless it has a ``Nats-Msg-Id``.

        Raises
        ------
        Refused
            When the compare-and-set lost.
        StoreFailed
            When the cluster took nothing in time, or refused for another reason. It may be stored all the same.
        """
        return (await self._store(stream, [draft], self._publish))[0]

    async def publish_batch(self, stream: str, drafts: Sequence[Draft]) -> list[int]:
        """Store messages of one stream, all or none, and return their sequences.

        Parameters
        ----------
        stream : str
            Whose subjects the drafts name.
        drafts : sequence of Draft
            At most `MAX_BATCH`; the first one has `EXPECTED`, by which is seen whether the batch was taken when an answer is lost.

        Raises
        ------
        Refused
            When a compare-and-set lost.
        StoreFailed
            As for `publish`.
        """
        if not 0 < len(drafts) <= MAX_BATCH:
            raise StoreFailed(f"a batch must hold 1 to {MAX_BATCH} messages, got {len(drafts)}")
        return await self._store(stream, drafts, self._publish if len(drafts) == 1 else self._publish_batch)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        """Return the newest message of a subject as the stream's leader knows it, None where there is none."""
        return await self._insist(stream, lambda: self._newest(stream, subject))

    async def _newest(self, stream: str, subject: str) -> Stored | None:
        answer = await self._ask(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"last_by_subj": subject}).encode())
        if "error" in answer:
            if answer["error"].get("err_code") == _NO_MESSAGE:
                return None
            raise _NotNow(f"stream {stream} could not be read: {answer['error'].get('description')}")
        message = answer["message"]
        headers = _headers(base64.b64decode(message.get("hdrs", "")))
        return Stored(message["subject"], message["seq"], base64.b64decode(message.get("data", "")), headers)

    async def some(self, stream: str, asked: Mapping[str, Any]) -> tuple[list[Stored], Mapping[str, str]]:
        """Return messages of a direct batch get from any replica, and the headers of the answer's end."""
        return await self._insist(stream, lambda: self._some(stream, asked))

    async def _some(self, stream: str, asked: Mapping[str, Any]) -> tuple[list[Stored], Mapping[str, str]]:
        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox)
        found: list[Stored] = []
        try:
            await self.client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(asked).encode(), reply=inbox)
            while True:
                message = await subscription.next_msg(timeout=_REQUEST_S)
                headers = {str(name): value for name, value in (message.headers or {}).items()}
                if "Status" in headers:
                    if headers["Status"] in {"204", "404"}:
                        return found, headers
                    raise StoreFailed(f"stream {stream} could not be read: status {headers['Status']}")
                found.append(Stored(headers["Nats-Subject"], int(headers["Nats-Sequence"]), message.data, headers))
        finally:
            await subscription.unsubscribe()

    async def _store(
        self, stream: str, drafts: Sequence[Draft], send: Callable[[Sequence[Draft]], Awaitable[list[int]]]
    ) -> list[int]:
        """Send until it is known to be stored or refused; what may have been stored already is looked for before it is sent again."""
        first = drafts[0]
        mark = uuid.uuid4().hex
        marked = [Draft(first.subject, first.data, {**first.headers, _MARK: mark}), *drafts[1:]]
        tries = 0

        async def once() -> list[int]:
            nonlocal tries
            tries += 1
            if tries > 1 and EXPECTED in first.headers:
                there = await self._newest(stream, first.subject)
                if there is not None and there.headers.get(_MARK) == mark:
                    return list(range(there.sequence, there.sequence + len(drafts)))
            return await send(marked)

        return await self._insist(stream, once)

    async def _publish(self, drafts: Sequence[Draft]) -> list[int]:
        draft = drafts[0]
        return [_sequence(draft.subject, await self._ask(draft.subject, draft.data, draft.headers))]

    async def _publish_batch(self, drafts: Sequence[Draft]) -> list[int]:
        """Send a batch; only its first and last message are answered."""
        name, last = uuid.uuid4().hex, len(drafts)
        for number, draft in enumerate(drafts[:-1], 1):
            headers = {**draft.headers, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            if number > 1:
                await self.client.publish(draft.subject, draft.data, headers=headers)
                continue
            begun = await self._ask(draft.subject, draft.data, headers)
            if begun:
                _sequence(draft.subject, begun)
        headers = {**drafts[-1].headers, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(last), "Nats-Batch-Commit": "1"}
        end = _sequence(drafts[-1].subject, await self._ask(drafts[-1].subject, drafts[-1].data, headers))
        return list(range(end - last + 1, end + 1))

    async def _ask(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        message: Msg = await self.client.request(subject, data, timeout=_REQUEST_S, headers=dict(headers) if headers else None)
        return json.loads(message.data) if message.data else {}

    async def _insist(self, what: str, once: Callable[[], Awaitable[T]]) -> T:
        """Try until it is answered: while a leader is elected nobody answers."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + _PATIENCE_S, _PAUSE_S
        while True:
            try:
                return await once()
            except (NatsError, OSError, TimeoutError, _NotNow) as exc:
                if loop.time() >= deadline or self.client.is_closed:
                    raise StoreFailed(f"{what}: the cluster did not answer within {_PATIENCE_S:g} s: {exc!r}") from exc
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # so that not all come back at once
            pause = min(2 * pause, 1.0)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_REQUEST_S)
        if not self._loop.is_running():
            self._loop.close()


class _NotNow(Exception):
    """The server stored nothing for now."""


async def _close(client: Client) -> None:
    try:
        await asyncio.wait_for(client.drain(), _REQUEST_S)
    except (NatsError, OSError, TimeoutError):
        await client.close()


def _sequence(subject: str, answer: Mapping[str, Any]) -> int:
    """Return the sequence of an acknowledgement.

    Raises
    ------
    Refused, StoreFailed
        When it is none.
    """
    error = answer.get("error")
    if error is None:
        return int(answer["seq"])
    said = f"{subject}: {error.get('description')} ({error.get('err_code')})"
    if error.get("err_code") in _WRONG_SEQUENCE:
        raise Refused(said)
    if error.get("code") == _UNAVAILABLE:
        raise _NotNow(said)
    raise StoreFailed(said)


def _headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a message as the API returns them."""
    lines = raw.decode().split("\r\n")[1:]
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
