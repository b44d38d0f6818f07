"""An answer as HTTP carries it: status, headers, and a body in the encoding of the request.

`app.ingest.http` makes one for every request and sends it through ASGI; `app.ingest.connections` writes those to
ordinary requests as they are.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TypeAlias

from google.rpc.code_pb2 import Code

from app.auth.refusals import CHALLENGE, NotAllowed, NotAuthenticated
from app.edge.throttle import TooOften
from app.ingest.admit import TenantRoomFull, UnknownContentType
from app.ingest.answers import RETRY_AFTER_S, failure_as
from app.ingest.signals import Encoding
from features.errors import BodyTooLarge, ForeshockError, InvalidValue

__all__ = ["Headers", "Reply", "failed", "packed", "status_of"]

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_CONTENT_TYPES: dict[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}

_CHALLENGE = (b"www-authenticate", CHALLENGE.encode())

_PACKED_ANSWER_BYTES = 1024  # a shorter answer fits a packet either way
_TAKES_GZIP = re.compile(
    r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q\s*=\s*(?!0(?:\.0{0,3})?\s*(?:,|$))[\d.]+\s*)?(?:,|$)", re.IGNORECASE
)

_CODES = {
    HTTPStatus.UNAUTHORIZED: Code.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: Code.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.UNIMPLEMENTED,
    HTTPStatus.REQUEST_TIMEOUT: Code.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: Code.UNAVAILABLE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Parameters
    ----------
    status : HTTPStatus
        Of the response.
    body : bytes
        Without compression.
    encoding : {"protobuf", "json"} or None
        How the body is written; without an encoding there is none.
    headers : tuple of (name, value)
        Beside those that describe the body.
    """

    status: HTTPStatus
    body: bytes
    encoding: Encoding | None
    headers: Headers = ()

    @property
    def all_headers(self) -> Headers:
        """The headers, with those that describe the body.

        Examples
        --------
        >>> Reply(HTTPStatus.OK, b"{}", "json").all_headers
        ((b'content-type', b'application/json'), (b'content-length', b'2'))
        """
        if self.encoding is None:
            return self.headers
        length = b"%d" % len(self.body)
        return (*self.headers, (b"content-type", _CONTENT_TYPES[self.encoding]), (b"content-length", length))


def failed(status: HTTPStatus, message: str, encoding: Encoding, retry_after_s: int = RETRY_AFTER_S) -> Reply:
    """Return the reply to a request that was not taken, with a Status as its body.

    Parameters
    ----------
    status : HTTPStatus
        Of the response.
    message : str
        What went wrong.
    encoding : {"protobuf", "json"}
        Of the body.
    retry_after_s : int
        After which the same may be sent again, where the status says that it may.

    Examples
    --------
    >>> failed(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "json").headers
    ((b'retry-after', b'1'),)
    """
    code = _CODES.get(status, Code.INVALID_ARGUMENT)
    headers = (
        ((b"retry-after", b"%d" % retry_after_s),)
        if code == Code.UNAVAILABLE
        else (_CHALLENGE,)
        if code == Code.UNAUTHENTICATED
        else ()
    )
    waited_s = retry_after_s if code == Code.UNAVAILABLE else None
    return Reply(status, failure_as(code, message, encoding, waited_s), encoding, headers)


def packed(reply: Reply, accept_encoding: str) -> Reply:
    """Return a reply with a long body compressed, if the one who asked takes that.

    Parameters
    ----------
    reply : Reply
        As `app.ingest.http` made it.
    accept_encoding : str
        The header of the request, empty when absent.

    Examples
    --------
    >>> long = failed(HTTPStatus.BAD_REQUEST, "x" * 1024, "json")
    >>> len(packed(long, "gzip").body) < len(packed(long, "").body) == len(long.body)
    True
    """
    if reply.encoding is None or len(reply.body) <= _PACKED_ANSWER_BYTES:
        return reply
    headers = (*reply.headers, (b"vary", b"accept-encoding"))
    if not _TAKES_GZIP.search(accept_encoding):
        return replace(reply, headers=headers)
    return replace(reply, body=gzip.compress(reply.body, 6), headers=(*headers, (b"content-encoding", b"gzip")))


def status_of(error: ForeshockError) -> HTTPStatus:
    """Return the status that says what went wrong.

    Examples
    --------
    >>> int(status_of(BodyTooLarge(""))), int(status_of(ForeshockError("")))
    (413, 503)
    """
    match error:
        case NotAuthenticated():
            return HTTPStatus.UNAUTHORIZED
        case NotAllowed():
            return HTTPStatus.FORBIDDEN
        case UnknownContentType():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case BodyTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case InvalidValue():
            return HTTPStatus.BAD_REQUEST
        case TenantRoomFull() | TooOften():
            return HTTPStatus.TOO_MANY_REQUESTS
        case _:
            # Overloaded, and whatever the log raises: the sender is to try again rather than to drop what it has.
            return HTTPStatus.SERVICE_UNAVAILABLE
