"""``Idempotency-Key`` on posts: the same key with the same body gets the first answer again, and nothing is done twice.

The key is reserved by compare-and-set in the bucket ``idempotency`` before the work begins, so two
requests at once on two nodes cannot both do it. The answer is kept for a day.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Annotated, TypeAlias

from anyio import CancelScope, to_thread
from fastapi import Header, Response

from app.api.parts import Ask
from app.api.problems import KeyReused, StillRunning
from app.cache.documents import decode_document, encode_document
from features.errors import Conflict

__all__ = ["KEPT_S", "RESERVED_S", "IdempotencyKey", "once"]

BUCKET = "idempotency"

KEPT_S = 86_400.0
"""Seconds for which an answer is kept; a day is what payment APIs quote."""

RESERVED_S = 60.0
"""Seconds after which the key of a request that died unanswered is free again. Guessed: far above any post's time."""

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same body gets the first answer again, for a day.",
    ),
]
"""The header, for a route."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A request by its hash, and its answer once there is one."""

    request_sha256: str
    status: int = 0
    headers: dict[str, str] | None = None
    body: str = ""

    def answer(self) -> Response:
        return Response(self.body, self.status, self.headers, "application/json")


async def once(asked: Ask, route: str, key: str | None, body: bytes, work: Callable[[], Awaitable[Response]]) -> Response:
    """Do some work unless its key was used before.

    Parameters
    ----------
    asked : Ask
        Whose request; two tenants' keys never meet.
    route : str
        Which; two routes' keys never meet.
    key : str or None
        The Idempotency-Key; None does the work.
    body : bytes
        The request in one canonical form.
    work : callable
        Returns the answer, or raises; then the key is free again.

    Returns
    -------
    Response
        The work's, or what was answered the first time.

    Raises
    ------
    KeyReused
        When the key stood for another body.
    StillRunning
        When the first request is not answered yet.
    """
    if key is None:
        return await work()
    documents, name = asked.parts.documents, asked.key(route, sha256(key.encode("utf-8", "surrogatepass")).hexdigest())
    request = _Kept(sha256(body).hexdigest())
    try:
        await to_thread.run_sync(partial(documents.swap, BUCKET, name, encode_document(request), 0, ttl_s=RESERVED_S))
    except Conflict:
        found = await to_thread.run_sync(documents.get, BUCKET, name)
        if found is None:  # it expired between the two calls
            raise StillRunning(f"the first request with Idempotency-Key {key!r} ended just now; send it again") from None
        return _again(decode_document(found.value, _Kept), request, key)
    try:
        response = await work()
    except BaseException:
        with CancelScope(shield=True):  # also when the client went away
            await to_thread.run_sync(documents.delete, BUCKET, name)
        raise
    headers = {n: v for n, v in response.headers.items() if n in ("location", "retry-after")}
    kept = _Kept(request.request_sha256, response.status_code, headers, bytes(response.body).decode())
    await to_thread.run_sync(partial(documents.put, BUCKET, name, encode_document(kept), ttl_s=KEPT_S))
    return response


def _again(kept: _Kept, request: _Kept, key: str) -> Response:
    if kept.request_sha256 != request.request_sha256:
        raise KeyReused(f"Idempotency-Key {key!r} stood for another body; take a new key for a new request")
    if kept.status == 0:
        raise StillRunning(f"the first request with Idempotency-Key {key!r} is still running")
    return kept.answer()
