"""The clients of a running service: the sockets, and nothing else; calls come from `app.client.table`."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, NotRequired, Self, TypedDict, TypeVar, Unpack, cast
from urllib.parse import urlsplit

import httpx

from app.client.events import Event
from app.client.exchange import Pause, Request, Steps
from app.client.past import History, history
from app.client.retries import Outcome, Retries, persist
from app.client.table import Table
from app.client.watching import SILENCE_S, Watch, WatchWanted
from features.errors import InvalidValue

__all__ = ["AsyncForeshock", "Connection", "Foreshock"]

T = TypeVar("T")


class Connection(TypedDict):
    """How to talk to a service; everything has a default."""

    tenant: NotRequired[str | None]
    """Sent as ``X-Scope-OrgID``; without it the token's, or the default one."""
    timeout_s: NotRequired[float]
    """Seconds for a connection, and for an answer's next byte; 30 without it."""
    retries: NotRequired[Retries | int]
    """How patient to be, or only how many requests may be made for one answer."""
    verify: NotRequired[bool | str | Path | ssl.SSLContext]
    """By which certificates a server is known: those that come with `certifi`, those of a file, or a context. False asks for none."""


class Foreshock(Table):
    """A client that blocks until it is answered; safe to share among threads.

    Parameters
    ----------
    url : str, optional
        Where the API is, such as ``http://127.0.0.1:8318``; a path before ``/api`` is kept. Without it, that of ``FORESHOCK_URL``.
    token : str, optional
        Sent as ``Authorization: Bearer``. Without it that of ``FORESHOCK_TOKEN``, or none.
    **connection
        See `Connection`.

    Raises
    ------
    InvalidValue
        When the URL is none, or a bound is broken.

    Examples
    --------
    >>> with Foreshock("http://127.0.0.1:8318") as foreshock:
    ...     foreshock.url
    'http://127.0.0.1:8318'
    """

    def __init__(self, url: str | None = None, token: str | None = None, **connection: Unpack[Connection]) -> None:
        self.url: str = _url(url)
        self.retries: Retries = _retries(connection)
        self._http = httpx.Client(**_options(self.url, token, connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, steps: Steps[T]) -> T:
        """Run a call of `app.client.table`: make its requests, again where they may succeed later."""
        run = persist(steps, self.retries)
        outcome: Outcome = None
        try:
            while True:
                step = run.send(outcome)
                outcome = None
                if isinstance(step, Pause):
                    self.retries.sleep(step.seconds)
                else:
                    outcome = self._answer(step)
        except StopIteration as stop:
            return stop.value

    def watch(self, **wanted: Unpack[WatchWanted]) -> Generator[Event]:
        """Yield what changes from now on, for ever; a connection that breaks is opened again where it broke.

        Parameters
        ----------
        **wanted
            See `WatchWanted`.

        Yields
        ------
        Event
            Of a `kind`, with its `data` and its `id`. Close the generator to stop: ``contextlib.closing`` does, and so does leaving it alone.

        Raises
        ------
        Problem
            When the service refuses.
        NoAnswer
            When it was not reached as often as `retries` allow.
        """
        watch = Watch(wanted, self.retries)
        while (request := watch.request()) is not None:
            try:
                with self._http.stream(**_sent(request), timeout=_patient(self._http.timeout)) as answer:
                    outcome: httpx.Response | httpx.TransportError = answer
                    if watch.opened(answer):
                        for piece in answer.iter_bytes():
                            yield from watch.feed(piece)
                    else:
                        answer.read()
            except httpx.TransportError as exc:
                outcome = exc
            pause_s = watch.pause_s(outcome)
            if pause_s is not None:
                self.retries.sleep(pause_s)

    @staticmethod
    def history(place: str | Path, options: Mapping[str, str] | None = None) -> History:
        """Open history itself, without a service; see `app.client.history`."""
        return history(place, options)

    def _answer(self, request: Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(**_sent(request))
        except httpx.TransportError as exc:
            return exc


class AsyncForeshock(Table):
    """A client whose calls are awaited; as `Foreshock` else."""

    def __init__(self, url: str | None = None, token: str | None = None, **connection: Unpack[Connection]) -> None:
        self.url: str = _url(url)
        self.retries: Retries = _retries(connection)
        self._http = httpx.AsyncClient(**_options(self.url, token, connection))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, steps: Steps[T]) -> T:
        """Run a call of `app.client.table`: make its requests, again where they may succeed later."""
        run = persist(steps, self.retries)
        outcome: Outcome = None
        try:
            while True:
                step = run.send(outcome)
                outcome = None
                if isinstance(step, Pause):
                    await self.retries.async_sleep(step.seconds)
                else:
                    outcome = await self._answer(step)
        except StopIteration as stop:
            return stop.value

    async def watch(self, **wanted: Unpack[WatchWanted]) -> AsyncGenerator[Event]:
        """Yield what changes from now on; as `Foreshock.watch`. ``contextlib.aclosing`` closes it.

        Parameters
        ----------
        **wanted
            See `WatchWanted`.
        """
        watch = Watch(wanted, self.retries)
        while (request := watch.request()) is not None:
            try:
                async with self._http.stream(**_sent(request), timeout=_patient(self._http.timeout)) as answer:
                    outcome: httpx.Response | httpx.TransportError = answer
                    if watch.opened(answer):
                        async with aclosing(cast("AsyncGenerator[bytes]", answer.aiter_bytes())) as pieces:
                            async for piece in pieces:
                                for event in watch.feed(piece):
                                    yield event
                    else:
                        await answer.aread()
            except httpx.TransportError as exc:
                outcome = exc
            pause_s = watch.pause_s(outcome)
            if pause_s is not None:
                await self.retries.async_sleep(pause_s)

    @staticmethod
    def history(place: str | Path, options: Mapping[str, str] | None = None) -> History:
        """Open history itself, without a service; see `app.client.history`."""
        return history(place, options)

    async def _answer(self, request: Request) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(**_sent(request))
        except httpx.TransportError as exc:
            return exc


def _url(url: str | None) -> str:
    found = os.environ.get("FORESHOCK_URL", "") if url is None else url
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        said = "url" if url is not None else "FORESHOCK_URL, since there is no url,"
        raise InvalidValue(
            f"{said} must be http or https with a host and no query, such as http://127.0.0.1:8318, got {found!r}"
        )
    return found.rstrip("/")


def _retries(connection: Connection) -> Retries:
    given = connection.get("retries", Retries())
    return Retries(attempts=given) if isinstance(given, int) else given


def _options(url: str, token: str | None, connection: Connection) -> dict[str, Any]:
    """Return what both of httpx's clients take."""
    unknown = connection.keys() - Connection.__annotations__.keys()
    if unknown:
        raise InvalidValue(f"a connection has {sorted(Connection.__annotations__)}, got {sorted(unknown)}")
    timeout_s = connection.get("timeout_s", 30.0)
    if timeout_s <= 0.0:
        raise InvalidValue(f"timeout_s must be above 0, got {timeout_s:g}")
    return {
        "base_url": url,
        "headers": _headers(os.environ.get("FORESHOCK_TOKEN") if token is None else token, connection.get("tenant")),
        "timeout": timeout_s,
        "verify": _verify(connection.get("verify", True)),
    }


def _headers(token: str | None, tenant: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json, text/event-stream", "User-Agent": "foreshock-client"}
    if token:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InvalidValue("token must be of printable ASCII characters without a space; the value is not shown")
        headers["Authorization"] = f"Bearer {token}"
    if tenant is not None:
        if not (tenant.isascii() and tenant.isprintable()):
            raise InvalidValue(f"tenant must be of printable ASCII characters, got {tenant!r}")
        headers["X-Scope-OrgID"] = tenant
    return headers


def _verify(given: bool | str | Path | ssl.SSLContext) -> bool | ssl.SSLContext:
    if not isinstance(given, str | Path):
        return given
    try:
        return ssl.create_default_context(cafile=str(given))
    except OSError as exc:  # ssl.SSLError is one
        raise InvalidValue(f"verify must name a file of certificates in PEM, got {str(given)!r}: {exc}") from exc


def _sent(request: Request) -> dict[str, Any]:
    """Return a request as httpx takes it."""
    headers, content = dict(request.headers), request.content
    if content is not None:
        headers["Content-Type"] = "application/json"
    return {
        "method": request.method,
        "url": request.path,
        "params": request.parameters,
        "content": content,
        "headers": headers,
    }


def _patient(timeout: httpx.Timeout) -> httpx.Timeout:
    return httpx.Timeout(connect=timeout.connect, read=SILENCE_S, write=timeout.write, pool=timeout.pool)
