"""The closed list of 13 categories and the kinds of error below them, in one table.

`features.classify` gives every error one of these kinds; windows count categories, predictions name the
expected ones, and `features.recovery` holds the advice for each kind. A user's rules (`features.rules`)
may add kinds, never categories.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import InvalidValue

__all__ = ["CATEGORIES", "KINDS", "SEVERITIES", "UNKNOWN", "Kind", "kind"]

CATEGORIES = (
    "network",
    "data",
    "configuration",
    "processing",
    "export",
    "performance",
    "concurrency",
    "resource",
    "compatibility",
    "system",
    "business",
    "security",
    "dependency",
)
"""The closed list, in the order of every array over categories."""

UNKNOWN = "unknown"
"""Kind and category of an error that nothing tells apart; never counted under one of the 13."""

SEVERITIES = range(1, 25)
"""OpenTelemetry severity numbers."""

_WARN, _ERROR, _SEVERE, _FATAL = 13, 17, 19, 21  # OpenTelemetry severity numbers: WARN, ERROR, ERROR3, FATAL


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of error.

    Parameters
    ----------
    name : str
        ``snake_case``, unique.
    category : str
        One of `CATEGORIES`, or ``unknown`` for the kind ``unknown`` alone.
    severity : int
        OpenTelemetry severity number that the kind deserves where the sender gives none, 1 to 24.
    retryable : bool
        Whether the same request can succeed later.
    transient : bool
        Whether the cause usually passes by itself.
    summary : str
        What happened, in one line.

    Raises
    ------
    InvalidValue
        When the category or the severity is none of the allowed ones.

    Examples
    --------
    >>> Kind("stock_short", "business", 17, False, False, "not enough in stock").category
    'business'
    """

    name: str
    category: str
    severity: int
    retryable: bool
    transient: bool
    summary: str

    def __post_init__(self) -> None:
        if self.category not in CATEGORIES and (self.name, self.category) != (UNKNOWN, UNKNOWN):
            raise InvalidValue(f"category of kind {self.name!r} must be one of {', '.join(CATEGORIES)}, got {self.category!r}")
        if self.severity not in SEVERITIES:
            raise InvalidValue(f"severity of kind {self.name!r} must be in [1, 24], got {self.severity}")


_RETRY, _NEVER, _PASSES, _STAYS = True, False, True, False

_TABLE = (
    # network: the path between two parties failed
    Kind("timeout", "network", _ERROR, _RETRY, _PASSES, "no answer within the time allowed"),
    Kind("connect_timeout", "network", _ERROR, _RETRY, _PASSES, "no connection within the time allowed"),
    Kind("connection_refused", "network", _ERROR, _RETRY, _PASSES, "nobody listens at the address"),
    Kind("connection_reset", "network", _ERROR, _RETRY, _PASSES, "the peer closed the connection in the middle"),
    Kind("unreachable", "network", _ERROR, _RETRY, _PASSES, "no route to the host or network"),
    Kind("dns", "network", _ERROR, _RETRY, _PASSES, "a host name cannot be resolved"),
    Kind("tls", "network", _SEVERE, _NEVER, _STAYS, "TLS handshake or certificate check failed"),
    Kind("network", "network", _ERROR, _RETRY, _PASSES, "another failure of the connection"),
    # data: what was sent or stored is not what it should be
    Kind("malformed_data", "data", _ERROR, _NEVER, _STAYS, "input cannot be parsed or decoded"),
    Kind("validation", "data", _WARN, _NEVER, _STAYS, "input breaks a rule of its format or range"),
    Kind("schema_mismatch", "data", _ERROR, _NEVER, _STAYS, "two sides disagree on fields, columns or types"),
    Kind("integrity", "data", _ERROR, _NEVER, _STAYS, "a constraint of the data store was violated"),
    Kind("duplicate", "data", _WARN, _NEVER, _STAYS, "the record exists already"),
    Kind("not_found", "data", _WARN, _NEVER, _STAYS, "the record or resource asked for does not exist"),
    Kind("too_large", "data", _ERROR, _NEVER, _STAYS, "a body, message or field is larger than allowed"),
    Kind("data_loss", "data", _FATAL, _NEVER, _STAYS, "data is corrupt or lost beyond recovery"),
    # configuration: the deployment is wrong
    Kind("bad_configuration", "configuration", _SEVERE, _NEVER, _STAYS, "a setting is missing or wrong"),
    Kind("missing_secret", "configuration", _SEVERE, _NEVER, _STAYS, "a credential or key is not where it should be"),
    Kind("missing_module", "configuration", _SEVERE, _NEVER, _STAYS, "code or a library is not in the deployment"),
    # processing: our own code failed
    Kind("null_reference", "processing", _ERROR, _NEVER, _STAYS, "a value that must be there is absent"),
    Kind("out_of_bounds", "processing", _ERROR, _NEVER, _STAYS, "an index, key or range does not exist"),
    Kind("type_error", "processing", _ERROR, _NEVER, _STAYS, "a value has another type than the code expects"),
    Kind("arithmetic", "processing", _ERROR, _NEVER, _STAYS, "division by zero, overflow or not a number"),
    Kind("assertion", "processing", _ERROR, _NEVER, _STAYS, "an assumption of the code does not hold"),
    Kind("illegal_state", "processing", _ERROR, _NEVER, _STAYS, "called at a time or with values that the code forbids"),
    Kind("stack_overflow", "processing", _SEVERE, _NEVER, _STAYS, "recursion without end"),
    Kind("internal_error", "processing", _ERROR, _NEVER, _STAYS, "an unhandled failure inside the service"),
    Kind("message_failed", "processing", _ERROR, _RETRY, _STAYS, "a consumer could not handle a message"),
    Kind("job_failed", "processing", _ERROR, _RETRY, _STAYS, "a job, task or workflow step ended in failure"),
    Kind("cancelled", "processing", _WARN, _RETRY, _PASSES, "the caller gave up or work was cancelled"),
    # export: results could not be handed on
    Kind("export_failed", "export", _ERROR, _RETRY, _PASSES, "telemetry, a report or a file could not be handed on"),
    Kind("pipeline_failed", "export", _ERROR, _RETRY, _STAYS, "a data pipeline or publication to a broker failed"),
    # performance: too slow or too much
    Kind("slow", "performance", _WARN, _RETRY, _PASSES, "slower than promised, but answered"),
    Kind("overload", "performance", _ERROR, _RETRY, _PASSES, "more work than can be taken; it was shed"),
    # concurrency: work got in the way of other work
    Kind("deadlock", "concurrency", _ERROR, _RETRY, _PASSES, "transactions or threads wait for each other"),
    Kind("lock_timeout", "concurrency", _ERROR, _RETRY, _PASSES, "a lock was not free in time"),
    Kind("race", "concurrency", _ERROR, _NEVER, _STAYS, "shared state was changed without agreement"),
    Kind("conflict", "concurrency", _WARN, _RETRY, _PASSES, "another writer was first"),
    # resource: something finite ran out
    Kind("out_of_memory", "resource", _FATAL, _NEVER, _STAYS, "memory ran out"),
    Kind("disk_full", "resource", _FATAL, _NEVER, _STAYS, "disk, inodes or storage quota ran out"),
    Kind("pool_exhausted", "resource", _SEVERE, _RETRY, _PASSES, "no free connection or worker in the pool"),
    Kind("handle_exhaustion", "resource", _SEVERE, _NEVER, _STAYS, "file handles, sockets, ports or threads ran out"),
    Kind("rate_limited", "resource", _WARN, _RETRY, _PASSES, "too many requests for a limit in time"),
    Kind("quota_exceeded", "resource", _ERROR, _NEVER, _STAYS, "an allowance is used up"),
    # compatibility: two versions do not fit
    Kind("version_mismatch", "compatibility", _SEVERE, _NEVER, _STAYS, "two sides speak different versions"),
    Kind(
        "api_incompatible", "compatibility", _SEVERE, _NEVER, _STAYS, "a method, route or class is not what the caller expects"
    ),
    Kind("unsupported", "compatibility", _ERROR, _NEVER, _STAYS, "the operation is not implemented or not supported"),
    Kind("unsupported_format", "compatibility", _ERROR, _NEVER, _STAYS, "media type, encoding or file format is not supported"),
    # system: the machine or the process failed
    Kind("crash", "system", _FATAL, _NEVER, _STAYS, "the process panicked or died"),
    Kind("killed", "system", _FATAL, _RETRY, _STAYS, "the process was killed or evicted"),
    Kind("shutdown", "system", _ERROR, _RETRY, _PASSES, "the process or a part of it is shutting down"),
    Kind("start_failed", "system", _FATAL, _NEVER, _STAYS, "the process cannot start or never becomes ready"),
    Kind("io_error", "system", _ERROR, _RETRY, _STAYS, "reading or writing a file or device failed"),
    Kind("file_missing", "system", _ERROR, _NEVER, _STAYS, "a file or directory does not exist"),
    # business: the rules of the domain said no
    Kind("business_rule", "business", _WARN, _NEVER, _STAYS, "a rule of the business forbids it"),
    Kind("payment_declined", "business", _WARN, _NEVER, _STAYS, "a payment was refused or funds do not suffice"),
    Kind("out_of_stock", "business", _WARN, _NEVER, _STAYS, "goods, seats or capacity to sell are gone"),
    # security: not allowed, or not known
    Kind("unauthenticated", "security", _WARN, _NEVER, _STAYS, "the caller is not known"),
    Kind("token_expired", "security", _WARN, _RETRY, _STAYS, "a token or session is no longer valid"),
    Kind("permission_denied", "security", _ERROR, _NEVER, _STAYS, "the caller may not do this"),
    Kind("attack_blocked", "security", _SEVERE, _NEVER, _STAYS, "a request was refused as forged or hostile"),
    # dependency: another party failed
    Kind("dependency_unavailable", "dependency", _SEVERE, _RETRY, _PASSES, "a service or store that is needed does not serve"),
    Kind(
        "bad_upstream_response",
        "dependency",
        _ERROR,
        _RETRY,
        _PASSES,
        "another service answered with an error or with nonsense",
    ),
    Kind("circuit_open", "dependency", _ERROR, _RETRY, _PASSES, "a circuit breaker keeps calls from a failing dependency"),
    Kind("read_only", "dependency", _SEVERE, _RETRY, _PASSES, "the store takes no writes: a replica, or a failover under way"),
    # and what nothing tells apart
    Kind(UNKNOWN, UNKNOWN, _ERROR, _NEVER, _STAYS, "nothing in the report says what failed"),
)

KINDS: dict[str, Kind] = {row.name: row for row in _TABLE}
"""Every built-in kind by name."""


def kind(name: str) -> Kind:
    """Return a built-in kind.

    Raises
    ------
    InvalidValue
        When there is none of that name.

    Examples
    --------
    >>> kind("deadlock").category, kind("deadlock").retryable
    ('concurrency', True)
    """
    try:
        return KINDS[name]
    except KeyError as exc:
        raise InvalidValue(f"kind must be one of {', '.join(KINDS)}, got {name!r}") from exc
