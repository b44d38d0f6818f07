"""What a call of the client consists of, apart from any socket: requests that it makes, answers that it reads, waits in between.

A call is a generator: it yields a `Request`, is sent the answer, may yield more, and returns what the caller gets. `app.client.foreshock`
runs it with a blocking or with an asynchronous connection, so that each call is written once.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec
from pydantic import BaseModel, ValidationError

from app.client.failures import UnknownAnswer
from features.errors import InvalidValue

__all__ = ["Pause", "Query", "Request", "Steps", "ask", "aware", "document", "json_of", "moment", "read"]

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

Query: TypeAlias = Mapping[str, object]
"""Parameters of a route; None leaves one out, a sequence gives one several times."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Parameters
    ----------
    route : str
        Method and path as the OpenAPI document names them, such as ``GET /api/v1/predictions/{service}``.
    names : Mapping[str, str]
        What stands for the parts in braces.
    query : Mapping[str, object]
        Parameters.
    body : object
        Sent as JSON; None sends none.
    once : bool
        Whether the server is to do it once however often it is sent, by an ``Idempotency-Key`` that the connection makes.
    harmless : bool
        Whether doing it twice is as doing it once, although it is a post without such a key.
    accepts : tuple of int
        Statuses besides 2xx that are answers, not failures.
    headers : Mapping[str, str]
        Further headers.

    Examples
    --------
    >>> Request("GET /api/v1/predictions/{service}", {"service": "a/b"}).path
    '/api/v1/predictions/a%2Fb'
    """

    route: str
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Query = field(default_factory=dict[str, object])
    body: object = None
    once: bool = False
    harmless: bool = False
    accepts: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def method(self) -> str:
        """The method."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path, with names quoted."""
        path = self.route.partition(" ")[2]
        for name, value in self.names.items():
            path = path.replace(f"{{{name}}}", _quoted(name, value))
        return path

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query as pairs of texts."""
        return [(name, _text(name, one)) for name, value in self.query.items() for one in _each(value)]

    @property
    def content(self) -> bytes | None:
        """The body as bytes."""
        return None if self.body is None else msgspec.json.encode(_wire("body", self.body))


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of some seconds."""

    seconds: float


Steps: TypeAlias = Generator[Request | Pause, httpx.Response | None, T]
"""A call: what it yields, what it is sent (an answer for a request, None for a pause), what it returns."""


def ask(request: Request) -> Steps[httpx.Response]:
    """Make a request and return its answer."""
    answer = yield request
    assert answer is not None
    return answer


def document(model: type[ModelT], request: Request) -> Steps[ModelT]:
    """Make a request and return the document that it is answered with.

    Parameters
    ----------
    model : type
        The wire model. Members that it does not know are passed over: a newer server may send some.
    request : Request
        What is asked.

    Raises
    ------
    UnknownAnswer
        When the answer is not what the model says.
    """
    answer = yield from ask(request)
    return read(model, answer.content, request.route)


def read(model: type[ModelT], content: bytes, what: str) -> ModelT:
    """Read a document, passing over members that this release does not know.

    Raises
    ------
    UnknownAnswer
        When it is not what the model says.
    """
    try:
        return model.model_validate_json(content, extra="ignore")
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UnknownAnswer(f"{what}: {place}: {first['msg']}; is the server of another release?") from exc


def json_of(answer: httpx.Response, what: str) -> dict[str, object]:
    """Return the JSON object that a request was answered with.

    Raises
    ------
    UnknownAnswer
        When it is none.
    """
    try:
        return msgspec.json.decode(answer.content, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        kind = answer.headers.get("content-type", "no content type")
        raise UnknownAnswer(f"{what} was answered with no JSON object but {kind!r}: {exc}; is this a Foreshock?") from exc


def aware(name: str, time: datetime) -> datetime:
    """Return a time in UTC.

    Raises
    ------
    InvalidValue
        When it has no zone.
    """
    if time.utcoffset() is None:
        raise InvalidValue(f"{name} must have a zone, such as datetime.now(UTC), got {time.isoformat()}")
    return time.astimezone(UTC)


def moment(name: str, time: datetime) -> str:
    """Return a time as RFC 3339 in UTC.

    Raises
    ------
    InvalidValue
        When it has no zone.

    Examples
    --------
    >>> moment("since", datetime(2026, 11, 24, tzinfo=UTC))
    '2026-11-24T00:00:00+00:00'
    """
    return aware(name, time).isoformat()


def _quoted(name: str, value: str) -> str:
    if not value:
        raise InvalidValue(f"{name} must not be empty, got {value!r}")
    # Dots alone would be taken for a step up.
    return value.replace(".", "%2E") if not value.strip(".") else quote(value, safe="")


def _each(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return list(cast("list[object]", value)) if isinstance(value, list | tuple) else [value]


def _text(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return moment(name, value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wire(name: str, value: object) -> object:
    """Return a body in JSON's values: times checked, members that are None left out."""
    if isinstance(value, datetime):
        return moment(name, value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return {key: _wire(key, one) for key, one in pairs if one is not None}
    if isinstance(value, list | tuple):
        return [_wire(name, one) for one in cast("Sequence[object]", value)]
    return value
