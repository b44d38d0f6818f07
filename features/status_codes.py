"""What HTTP and RPC status codes say.

`features.classify` asks here with the attributes ``http.response.status_code``, ``rpc.response.status_code`` and
the names that older instrumentations use for them; `features.db_codes` answers for databases.

References: RFC 9110 and the IANA registry (HTTP), google.rpc.Code (gRPC), the JSON-RPC 2.0 specification.
"""

from __future__ import annotations

import re

__all__ = ["kind_of_http_status", "kind_of_rpc_status", "rpc_code", "status_number"]

_HTTP: dict[int, str] = {
    400: "validation",
    401: "unauthenticated",
    402: "payment_declined",
    403: "permission_denied",
    404: "not_found",
    405: "api_incompatible",
    406: "unsupported_format",
    407: "unauthenticated",
    408: "timeout",
    409: "conflict",
    410: "not_found",
    412: "conflict",
    413: "too_large",
    414: "too_large",
    415: "unsupported_format",
    419: "token_expired",
    421: "bad_configuration",
    422: "validation",
    423: "lock_timeout",
    424: "bad_upstream_response",
    425: "conflict",
    426: "version_mismatch",
    428: "conflict",
    429: "rate_limited",
    431: "too_large",
    440: "token_expired",
    451: "permission_denied",
    495: "tls",
    496: "tls",
    498: "token_expired",
    499: "cancelled",
    501: "unsupported",
    502: "bad_upstream_response",
    504: "timeout",
    505: "version_mismatch",
    507: "disk_full",
    509: "quota_exceeded",
    511: "unauthenticated",
    520: "bad_upstream_response",
    521: "connection_refused",
    522: "connect_timeout",
    523: "unreachable",
    524: "timeout",
    525: "tls",
    526: "tls",
    529: "overload",
    530: "bad_upstream_response",
    598: "timeout",
    599: "connect_timeout",
}

_UNAVAILABLE, _CLIENT_ERRORS, _SERVER_ERRORS = 503, range(400, 500), range(500, 600)

_RPC = (
    "",  # OK
    "cancelled",
    "",  # UNKNOWN
    "validation",  # INVALID_ARGUMENT
    "timeout",  # DEADLINE_EXCEEDED
    "not_found",
    "duplicate",  # ALREADY_EXISTS
    "permission_denied",
    "rate_limited",  # RESOURCE_EXHAUSTED: a quota or a rate, unless the message says memory or disk
    "illegal_state",  # FAILED_PRECONDITION
    "conflict",  # ABORTED
    "validation",  # OUT_OF_RANGE
    "unsupported",  # UNIMPLEMENTED
    "internal_error",  # INTERNAL
    "dependency_unavailable",  # UNAVAILABLE
    "data_loss",
    "unauthenticated",
)
_RPC_NAMES = (
    "ok",
    "cancelled",
    "unknown",
    "invalidargument",
    "deadlineexceeded",
    "notfound",
    "alreadyexists",
    "permissiondenied",
    "resourceexhausted",
    "failedprecondition",
    "aborted",
    "outofrange",
    "unimplemented",
    "internal",
    "unavailable",
    "dataloss",
    "unauthenticated",
)
_RPC_WEAK = {8, 13, 14}  # their messages usually know more: "connection refused", "message larger than max"

_JSON_RPC = {
    -32700: "malformed_data",
    -32600: "validation",
    -32601: "api_incompatible",
    -32602: "validation",
    -32603: "internal_error",
}


def kind_of_http_status(status: str, *, client: bool) -> tuple[str, bool]:
    """Return what an HTTP status says.

    Parameters
    ----------
    status : str
        The number as text.
    client : bool
        Whether we asked, so that a 5xx is the other side's failure.

    Returns
    -------
    tuple of (str, bool)
        Kind, empty when the status says nothing; and whether it is specific.

    Examples
    --------
    >>> kind_of_http_status("429", client=True), kind_of_http_status("500", client=False), kind_of_http_status("500", client=True)
    (('rate_limited', True), ('internal_error', False), ('bad_upstream_response', False))
    """
    code = status_number(status)
    if code in _HTTP:
        # A 4xx on a failing span says how the other side saw it; 400 and 404 mean many things.
        return _HTTP[code], code not in (400, 404, 409, 502)
    if code == _UNAVAILABLE:
        return ("dependency_unavailable" if client else "overload"), False
    if code in _SERVER_ERRORS:
        return ("bad_upstream_response" if client else "internal_error"), False
    if code in _CLIENT_ERRORS:
        return "validation", False
    return "", False


def kind_of_rpc_status(status: str) -> tuple[str, bool]:
    """Return what a gRPC, Connect or JSON-RPC status says, given as number or as name in any case.

    Examples
    --------
    >>> kind_of_rpc_status("4"), kind_of_rpc_status("DEADLINE_EXCEEDED"), kind_of_rpc_status("-32601")
    (('timeout', True), ('timeout', True), ('api_incompatible', True))
    """
    code = rpc_code(status)
    if code >= 0:
        return _RPC[code], code not in _RPC_WEAK and bool(_RPC[code])
    kind = _JSON_RPC.get(status_number(status), "")
    return kind, bool(kind)


def rpc_code(status: str) -> int:
    """Return the code of a gRPC or Connect status given as number or as name in any case, -1 for anything else.

    Examples
    --------
    >>> rpc_code("14"), rpc_code("UNAVAILABLE"), rpc_code("StatusCode.Canceled"), rpc_code("-32601"), rpc_code("")
    (14, 14, 1, -1, -1)
    """
    name = re.sub(r"[^a-z]", "", status[:64].lower()).removeprefix("statuscode")
    name = "cancelled" if name == "canceled" else name
    code = _RPC_NAMES.index(name) if name in _RPC_NAMES else status_number(status)
    return code if 0 <= code < len(_RPC) else -1


def status_number(text: str) -> int:
    """Return a status of at most six digits as a number, -1 for anything else.

    Examples
    --------
    >>> status_number(" 404 "), status_number("ORA-1")
    (404, -1)
    """
    text = text.strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,6}", text) else -1
