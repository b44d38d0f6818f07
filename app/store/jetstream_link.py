"""One multiplexed connection to a NATS JetStream cluster, for callers on threads.

The other `jetstream_*` modules say what they want in terms of subjects and expected sequences; here it is sent, sent again while the
cluster has no leader, and its refusals become the errors of `features.errors`. The connection lives on an event loop on a thread of its
own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from app.breaker import Breaker, BreakerPlan, full_jitter
from app.store.jetstream_answers import (
    EXPECTED,
    MAX_BATCH,
    Draft,
    NotNow,
    Refused,
    Stored,
    headers_of,
    sequence_of,
    without_secrets,
)
from app.store.jetstream_complaints import Complaints
from app.store.jetstream_contact import Contact
from app.store.jetstream_waits import Waits
from app.telemetry import Telemetry
from features.errors import StoreFailed

__all__ = ["Link"]

T = TypeVar("T")

_NO_MESSAGE = 10037
_NO_LEADER = 10008  # of JetStream as a whole, while servers start
_UNAVAILABLE = 503
_REQUEST_S = 2.0  # guessed: a leader that lives answers sooner
_SLOWEST_BYTES_S = 2**20  # guessed: with fewer a second, copies and all, a cluster counts as away
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_HEADER_BYTES = 4096  # of the few headers that we set, and to spare
_PATIENCE_S = 10.0
"""For how long is tried again. Twice the longest time without a leader that was measured (ENGINE: 5.7 s)."""

_LOOK_S, _LONGEST_LOOK_S = 0.5, 2.0  # guessed: a cluster that is back is used within two seconds
_AWAY = (NatsError, OSError, TimeoutError, NotNow)
_LASTING: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": _PAUSE_S}
_MARK = "Fs-Id"  # names one write, so that after a lost answer it can be told whether it was taken


class Link:
    """A connection and the loop that it lives on.

    Parameters
    ----------
    connect : mapping
        Options for `nats.connect`, servers among them.
    telemetry : Telemetry, optional
        Where calls and what comes of them are counted, by stream.

    Raises
    ------
    StoreFailed
        When no server can be reached.
    """

    def __init__(self, connect: Mapping[str, Any], telemetry: Telemetry | None = None) -> None:
        self._telemetry = telemetry or Telemetry()
        self._breakers: dict[str, Breaker] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._closed = False
        self._waits, self._contact, complaints = Waits(), Contact(), Complaints()
        told: dict[str, Any] = {"error_cb": complaints.hear, "disconnected_cb": self._waits.give_up}
        told |= {"reconnect_to_server_handler": self._contact.choose}
        try:
            self.client: Client = self.call(asyncio.wait_for(nats.connect(**_LASTING | told | dict(connect)), _PATIENCE_S))
        except BaseException as exc:
            self._end_loop()
            if not isinstance(exc, NatsError | OSError | ValueError):
                raise
            raise StoreFailed(
                f"no server of {without_secrets(connect.get('servers'))} lets us in: {complaints.telling or exc}"
            ) from exc

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return what it returns. Blocks; never call it on the loop."""
        try:
            return self.start(work).result()
        except CancelledError as exc:
            raise StoreFailed("the connection to the cluster was closed meanwhile") from exc

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
            closing = self.start(_close(self.client))
            self._closed = True
            try:
                closing.result()
            finally:
                self._end_loop()

    @property
    def trouble(self) -> str:
        """Which parts of the cluster are away, since when and why; empty while all is well."""
        return "; ".join(filter(None, (breaker.trouble for breaker in list(self._breakers.values()))))

    @property
    def max_bytes(self) -> int:
        """How many bytes of data a message may have: what the servers take, without room for headers."""
        return self.client.max_payload - _HEADER_BYTES

    async def api(self, name: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream's API and return its answer, an error of its own among them; ask again while nobody answers."""
        data = b"" if asked is None else json.dumps(asked).encode()

        async def once() -> dict[str, Any]:
            answer = await self._ask(f"$JS.API.{name}", data)
            if answer.get("error", {}).get("err_code") == _NO_LEADER:
                raise NotNow(f"{name}: {answer['error'].get('description')}")
            return answer

        return await self.insist(name.rpartition(".")[2], once)

    async def state(self, stream: str, *, patient: bool) -> dict[str, Any]:
        """Return the state of a stream as its leader says it, asked until it is answered, or once; `StoreFailed` when it was not."""

        async def ask() -> dict[str, Any]:
            answer = await self._ask(f"$JS.API.STREAM.INFO.{stream}", b"")
            if "error" in answer:
                raise NotNow(f"stream {stream} cannot be asked: {answer['error'].get('description')}")
            return answer["state"]

        return await (self.insist if patient else self._once)(stream, ask)

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

    async def insist(self, what: str, once: Callable[[], Awaitable[T]], n_bytes: int = 0) -> T:
        """Try until it is answered: while a leader is elected nobody answers.

        Parameters
        ----------
        what : str
            What it concerns, up to the first space a stream mostly: one that is away for long is not waited for by everybody.
        once : callable
            Asks once; safe to call again.
        n_bytes : int
            How many it sends or receives; the patience grows with them.

        Raises
        ------
        CircuitOpen
            When the target is away for long; it was not asked, or not again.
        StoreFailed
            When nobody answered for long enough.
        """
        loop, breaker, tries = asyncio.get_running_loop(), self._breaker(what.partition(" ")[0]), 0
        patience_s = _PATIENCE_S + n_bytes / _SLOWEST_BYTES_S
        deadline = loop.time() + patience_s
        while True:
            try:
                with breaker.call(_AWAY):
                    return await once()
            except _AWAY as exc:
                await self._contact.failed(self.client)
                if loop.time() >= deadline or self.client.is_closed:
                    raise StoreFailed(f"{what}: the cluster did not answer within {patience_s:g} s: {exc!r}") from exc
            await asyncio.sleep(full_jitter(tries, _PAUSE_S, _LONGEST_PAUSE_S, breaker.rng))
            breaker.retries.inc()
            tries += 1

    async def _once(self, target: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            with self._breaker(target).call(_AWAY):
                return await ask()
        except _AWAY as exc:
            await self._contact.failed(self.client)
            raise StoreFailed(f"{target}: the cluster did not answer: {exc!r}") from exc

    async def newest(self, stream: str, subject: str) -> Stored | None:
        """Return the newest message of a subject as the stream's leader knows it, None where there is none."""
        return await self.insist(stream, lambda: self._newest(stream, subject))

    async def _newest(self, stream: str, subject: str) -> Stored | None:
        answer = await self._ask(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"last_by_subj": subject}).encode())
        if "error" in answer:
            if answer["error"].get("err_code") == _NO_MESSAGE:
                return None
            raise NotNow(f"stream {stream} could not be read: {answer['error'].get('description')}")
        message = answer["message"]
        headers = headers_of(base64.b64decode(message.get("hdrs", "")))
        return Stored(message["subject"], message["seq"], base64.b64decode(message.get("data", "")), headers)

    async def some(self, stream: str, asked: Mapping[str, Any]) -> tuple[list[Stored], Mapping[str, str]]:
        """Return messages of a direct batch get from any replica, and the headers of the answer's end."""
        # Answered by any replica, which says nothing of the leader.
        return await self.insist(f"{stream}/read", lambda: self._some(stream, asked))

    async def _some(self, stream: str, asked: Mapping[str, Any]) -> tuple[list[Stored], Mapping[str, str]]:
        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox)
        found: list[Stored] = []
        try:
            await self.client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(asked).encode(), reply=inbox)
            while True:
                message = await subscription.next_msg(timeout=_REQUEST_S)
                headers = {str(name): value for name, value in (message.headers or {}).items()}
                status = headers.get("Status", "204")
                if status == "404":
                    return found, headers
                if status != "204":
                    said = f"stream {stream} could not be read: status {status}"
                    raise NotNow(said) if status == str(_UNAVAILABLE) else StoreFailed(said)
                last = found[-1].sequence if found else 0
                if int(headers["Nats-Last-Sequence"]) != last:
                    raise NotNow(f"stream {stream}: messages were lost after sequence {last}")
                if "Status" in headers:
                    return found, headers
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
            if tries == 1 or EXPECTED not in first.headers:
                return await send(marked)
            if taken := await self._taken(stream, drafts, mark):
                return taken
            try:
                return await send(marked)
            except Refused as exc:  # perhaps by an earlier try of our own, on its way while we looked
                if taken := await self._taken(stream, drafts, mark):
                    return taken
                if await self._unchanged(stream, drafts):
                    raise NotNow(f"an earlier try is under way: {exc}") from exc
                raise

        sequences = await self.insist(stream, once, sum(len(draft.data) for draft in drafts))
        self._contact.stored()
        return sequences

    async def _taken(self, stream: str, drafts: Sequence[Draft], mark: str) -> list[int]:
        """Return the sequences of drafts whose first one is there under our mark, none where it is not."""
        there = await self._newest(stream, drafts[0].subject)
        if there is None or there.headers.get(_MARK) != mark:
            return []
        return list(range(there.sequence, there.sequence + len(drafts)))

    async def _unchanged(self, stream: str, drafts: Sequence[Draft]) -> bool:
        """Return whether every compare-and-set would win by what is stored now."""
        for draft in (draft for draft in drafts if EXPECTED in draft.headers):
            there = await self._newest(stream, draft.subject)
            if str(0 if there is None else there.sequence) != draft.headers[EXPECTED]:
                return False
        return True

    async def _publish(self, drafts: Sequence[Draft]) -> list[int]:
        draft = drafts[0]
        return [sequence_of(draft.subject, await self._ask(draft.subject, draft.data, draft.headers))]

    async def _publish_batch(self, drafts: Sequence[Draft]) -> list[int]:
        """Send a batch; only its first and last message are answered."""
        name, last = uuid.uuid4().hex, len(drafts)
        for number, draft in enumerate(drafts[:-1], 1):
            headers = {**draft.headers, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            if number > 1:
                self._check_size(draft.subject, draft.data)
                await self.client.publish(draft.subject, draft.data, headers=headers)
                continue
            begun = await self._ask(draft.subject, draft.data, headers)
            if begun:
                sequence_of(draft.subject, begun)
        headers = {**drafts[-1].headers, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(last), "Nats-Batch-Commit": "1"}
        before = sum(len(draft.data) for draft in drafts[:-1])  # this answer comes when all of them are stored
        end = sequence_of(drafts[-1].subject, await self._ask(drafts[-1].subject, drafts[-1].data, headers, before))
        return list(range(end - last + 1, end + 1))

    async def _ask(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, before: int = 0
    ) -> dict[str, Any]:
        """Send and return what is answered; the answer may take the longer, the more bytes go with it or went before."""
        self._check_size(subject, data)
        timeout_s = _REQUEST_S + (len(data) + before) / _SLOWEST_BYTES_S
        async with self._waits.wait():
            message: Msg = await self.client.request(
                subject, data, timeout=timeout_s, headers=dict(headers) if headers else None
            )
        return json.loads(message.data) if message.data else {}

    def _breaker(self, target: str) -> Breaker:
        """Return the breaker of a target; on the loop alone new ones are made."""
        if target not in self._breakers:
            plan = BreakerPlan(_PATIENCE_S, _LOOK_S, _LONGEST_LOOK_S)
            self._breakers[target] = Breaker(f"nats {target}", self._telemetry, plan)
        return self._breakers[target]

    def _check_size(self, subject: str, data: bytes) -> None:
        if len(data) > self.max_bytes:  # the server would end the connection of all
            raise StoreFailed(
                f"{subject}: a message must have at most {self.max_bytes} bytes by the servers' max_payload, got {len(data)}"
            )

    def _end_loop(self) -> None:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_end_others(), self._loop).result(_REQUEST_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_REQUEST_S)
        if not self._loop.is_running():
            self._loop.close()


async def _end_others() -> None:
    """Cancel what still runs, so that nobody waits for ever for its answer."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _close(client: Client) -> None:
    try:
        await asyncio.wait_for(client.drain(), _REQUEST_S)
    except (NatsError, OSError, TimeoutError):
        with suppress(NatsError, OSError, TimeoutError):  # servers that are away take no farewell
            await asyncio.wait_for(client.close(), _REQUEST_S)
