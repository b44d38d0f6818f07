"""What goes wrong when a service is asked, as errors of the one tree.

ForeshockError
├── Problem               the service answered with a problem (RFC 9457), or with a status that says no more
│   ├── NotAllowed        401, 403: the token is missing, unknown or not for this
│   ├── NotFound          404
│   ├── Refused           the other 4xx: the request must change before it can succeed
│   └── Unavailable       429 and 5xx: the same request may succeed later
├── NoAnswer              nobody answered
│   └── NotReached        nobody was reached, so nothing was done
├── UnknownAnswer         the answer is none that this release understands
├── RunFailed             a training run or a backtest that was waited for has failed
└── StillWaiting          what was waited for had not come in time
"""

from __future__ import annotations

from typing import ClassVar

import httpx
import msgspec

from features.errors import ForeshockError

__all__ = [
    "NoAnswer",
    "NotAllowed",
    "NotFound",
    "NotReached",
    "Problem",
    "Refused",
    "RunFailed",
    "StillWaiting",
    "Unavailable",
    "UnknownAnswer",
    "failure_of",
    "problem_of",
]

_BLANK = "about:blank"  # RFC 9457, 4.2.1: the status says all


class _Said(msgspec.Struct):
    """A problem document, of which nothing need be there."""

    type: str = _BLANK
    title: str = ""
    detail: str = ""
    errors: list[dict[str, object]] = []


class Problem(ForeshockError):
    """The service refused a request, or could not do it.

    Parameters
    ----------
    status : int
        Of HTTP.
    type : str
        What kind of problem, such as ``urn:foreshock:problem:invalid-value``; ``about:blank`` where the answer is no problem document.
    title : str
        The same in words.
    detail : str
        What went wrong this time, with the value and its bound.
    errors : list of dict
        Every fault of its own, where there are several; of a batch with the ``index`` of the item.
    """

    def __init__(self, status: int, type: str, title: str, detail: str, errors: list[dict[str, object]] | None = None) -> None:  # noqa: A002 - RFC 9457 calls it so
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors: list[dict[str, object]] = errors or []


class NotAllowed(Problem):
    """The token is missing, unknown or not for this."""


class NotFound(Problem):
    """What was asked for is not there."""


class Refused(Problem):
    """The request must change before it can succeed."""


class Unavailable(Problem):
    """The same request may succeed later; as often as was allowed it did not."""

    retryable: ClassVar[bool] = True


class NoAnswer(ForeshockError):
    """A request was not answered, so that it is not known whether anything was done."""

    retryable: ClassVar[bool] = True


class NotReached(NoAnswer):
    """Nobody was reached, so that nothing was done."""


class UnknownAnswer(ForeshockError):
    """An answer is none that this release understands."""


class RunFailed(ForeshockError):
    """A training run or a backtest that was waited for has failed."""


class StillWaiting(ForeshockError):
    """What was waited for had not come in time."""

    retryable: ClassVar[bool] = True


def problem_of(answer: httpx.Response, what: str) -> Problem:
    """Return the problem that an answer is; its body must have been read.

    Parameters
    ----------
    answer : httpx.Response
        Of a status that is not asked for.
    what : str
        Which request, for the detail where the answer has none.

    Examples
    --------
    >>> problem_of(httpx.Response(404), "GET /api/v1/incidents/i1")
    NotFound('404 Not Found: GET /api/v1/incidents/i1')
    """
    try:
        said = msgspec.json.decode(answer.content, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a proxy's page
        said = _Said()
    status, title = answer.status_code, said.title or answer.reason_phrase
    return _kind(status)(status, said.type, title, said.detail or what, said.errors)


def failure_of(error: httpx.TransportError, what: str) -> NoAnswer:
    """Return the error that says why a request was not answered."""
    kind = NotReached if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) else NoAnswer
    return kind(f"{what} was not answered: {type(error).__name__}{f': {error}' if str(error) else ''}")


def _kind(status: int) -> type[Problem]:
    if status in (401, 403):
        return NotAllowed
    if status == 404:  # noqa: PLR2004 - HTTP's
        return NotFound
    return Unavailable if status == 429 or status >= 500 else Refused  # noqa: PLR2004 - HTTP's
