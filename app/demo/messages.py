"""The words of trouble: exception types and messages for every symptom in every language of the shop.

`compose` fills a template with numbers and ids from a salt, as real messages carry them. The types follow what the
usual libraries of each language raise; the messages are written for this shop.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.demo.symptom import Symptom

__all__ = ["INFO_LINES", "Trouble", "compose", "info"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an exception or a log record says.

    Parameters
    ----------
    type : str
        ``exception.type``; empty for a plain log line.
    message : str
        The message, with numbers and ids.
    """

    type: str
    message: str


_Texts = tuple[tuple[str, str], ...]
_S = Symptom

# One row a variant. Placeholders: {n} small, {ms}, {id} hexadecimal, {order}, {pct} 60 to 99, {host}, {port}, {peer}, {op}.
_ANY: dict[Symptom, _Texts] = {
    _S.UPSTREAM: (("", "upstream {peer} answered with status {status} after {ms} ms (request {id})"),),
    _S.REFUSED: (("", "connect to {peer}: connection refused (attempt {n})"),),
    _S.CUT: (("", "request to {peer} timed out after {ms} ms: no route to host or packets lost"),),
    _S.THROTTLED: (("", "{host} answered 429 Too Many Requests, retries exhausted after {n} attempts, request {id}"),),
    _S.OUTAGE: (
        ("", "{host}:{port} answered 503 Service Unavailable after {ms} ms, request {id}"),
        ("", "connect to {host}:{port} timed out after {ms} ms"),
        ("", "connection to {host}:{port} closed by peer while waiting for an answer"),
    ),
    _S.POOL: (("", "timed out waiting for a connection to {host} after {ms} ms (pool exhausted, {n} waiting)"),),
    _S.DISK: (("", "write /var/lib/{svc}/segment-{n}.dat: no space left on device"),),
    _S.GC_WARNING: (
        ("", "heap usage {pct}% after collection, pause {ms} ms"),
        ("", "memory pressure: {pct}% of limit used, dropping cache of {n} MB"),
    ),
    _S.POOL_WARNING: (
        ("", "waiting for connection to {host} took {ms} ms, {n} requests waiting"),
        ("", "connection pool {svc}-pool is {pct}% in use"),
    ),
    _S.DEPLOY_WARNING: (
        ("", "unexpected field in {op} payload of order {order}, using default"),
        ("", "config key 'feature.flags.v{n}' not found, falling back to built-in value"),
    ),
    _S.THROTTLE_WARNING: (("", "{host} answered 429 Too Many Requests, retry {n} in {ms} ms"),),
    _S.DISK_WARNING: (
        ("", "disk usage of /var/lib/{svc} at {pct}%"),
        ("", "slow fsync on /var/lib/{svc}: {ms} ms"),
    ),
    _S.FALLBACK: (("", "call to {peer} failed with status {status}, serving fallback for request {id}"),),
    _S.ODD_WARNING: (
        ("", "slow request {op} took {ms} ms"),
        ("", "deprecated parameter 'q{n}' used by client {id}"),
        ("", "cache miss ratio {pct}% over the last minute"),
        ("", "session {id} not found, creating a new one"),
    ),
    _S.FLAP: (
        ("", "lock wait timeout exceeded after {ms} ms; try restarting transaction {id}"),
        ("", "connection reset by peer while reading answer of order {order}"),
        ("", "TLS handshake with {host}:{port} failed: certificate is not yet valid"),
    ),
    _S.BLIP: (
        ("", "validation failed for order {order}: quantity must be positive, was -{n}"),
        ("", "deadlock detected, transaction {id} rolled back"),
        ("", "unexpected end of input at position {n} while parsing request {id}"),
    ),
    _S.BUG: (
        ("", "value of 'total' is missing in order {order}"),
        ("", "unknown field 'shippingClassV{n}' in message version 7, expected version 6"),
        ("", "required setting PAYMENT_PROFILE_{n} is not set"),
    ),
    _S.MEMORY: (("", "out of memory: cannot allocate {n} MB"),),
}

_JAVA: dict[Symptom, _Texts] = {
    _S.MEMORY: (("java.lang.OutOfMemoryError", "Java heap space"),),
    _S.POOL: (
        (
            "java.sql.SQLTransientConnectionException",
            "HikariPool-1 - Connection is not available, request timed out after {ms}ms (total=15, active=15, idle=0, waiting={n})",
        ),
    ),
    _S.BUG: (
        (
            "java.lang.NullPointerException",
            'Cannot invoke "java.math.BigDecimal.add(java.math.BigDecimal)" because "order.total" is null, order {order}',
        ),
        (
            "com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException",
            'Unrecognized field "shippingClass" (class com.shop.Order), at line 1, column {n}',
        ),
        (
            "org.springframework.beans.factory.BeanCreationException",
            "Could not resolve placeholder 'payment.profile.{n}' in value \"${{payment.profile.{n}}}\"",
        ),
    ),
    _S.DISK: (("java.io.IOException", "No space left on device: /var/lib/{svc}/segment-{n}.log"),),
    _S.FLAP: (
        ("org.springframework.dao.CannotAcquireLockException", "Lock wait timeout exceeded; try restarting transaction {id}"),
        ("java.net.SocketException", "Connection reset"),
        ("javax.net.ssl.SSLHandshakeException", "PKIX path validation failed: validity check failed for {host}"),
    ),
    _S.UPSTREAM: (("org.springframework.web.client.HttpServerErrorException", "{status} from {peer}, request {id}"),),
    _S.REFUSED: (("java.net.ConnectException", "Connection refused: {peer}"),),
    _S.CUT: (("java.net.SocketTimeoutException", "Read timed out after {ms} ms calling {peer}"),),
    _S.THROTTLED: (
        (
            "org.springframework.web.client.HttpClientErrorException$TooManyRequests",
            "429 Too Many Requests from {host}, request {id}, attempt {n}",
        ),
    ),
    _S.OUTAGE: (
        (
            "org.springframework.web.client.HttpServerErrorException$ServiceUnavailable",
            "503 Service Unavailable from {host}, request {id}",
        ),
        ("java.net.http.HttpConnectTimeoutException", "HTTP connect to {host}:{port} timed out after {ms} ms"),
        ("org.apache.http.NoHttpResponseException", "{host}:{port} failed to respond"),
    ),
    _S.BLIP: (
        ("java.lang.IllegalArgumentException", "quantity must be positive, was -{n} (order {order})"),
        (
            "org.springframework.dao.DeadlockLoserDataAccessException",
            "Deadlock found when trying to get lock, transaction {id}",
        ),
        ("com.fasterxml.jackson.core.JsonParseException", "Unexpected end-of-input at [line: 1, column: {n}]"),
    ),
}
_GO: dict[Symptom, _Texts] = {
    _S.MEMORY: (("runtime.Error", "runtime: out of memory: cannot allocate {n}194304-byte block"),),
    _S.BUG: (
        ("runtime.errorString", "runtime error: invalid memory address or nil pointer dereference"),
        ("*json.UnmarshalTypeError", "json: cannot unmarshal string into Go struct field Order.total of type int{n}"),
        ("*errors.errorString", "config: PAYMENT_PROFILE_{n} is not set"),
    ),
    _S.POOL: (("context.deadlineExceededError", "get connection from pool of {host}: context deadline exceeded after {ms}ms"),),
    _S.DISK: (("*fs.PathError", "write /var/lib/{svc}/segment-{n}.dat: no space left on device"),),
    _S.CUT: (("*net.OpError", "dial tcp {peer}: i/o timeout after {ms}ms"),),
    _S.REFUSED: (("*net.OpError", "dial tcp {peer}: connect: connection refused"),),
    _S.UPSTREAM: (("*status.Error", "rpc error: code = Unavailable desc = {peer} answered {status}, request {id}"),),
}
_DOTNET: dict[Symptom, _Texts] = {
    _S.MEMORY: (("System.OutOfMemoryException", "Exception of type 'System.OutOfMemoryException' was thrown."),),
    _S.POOL: (
        (
            "System.InvalidOperationException",
            "Timeout expired. The timeout period of {ms} ms elapsed prior to obtaining a connection from the pool; "
            "all pooled connections were in use and max pool size was reached.",
        ),
    ),
    _S.BUG: (
        ("System.NullReferenceException", "Object reference not set to an instance of an object."),
        (
            "System.Text.Json.JsonException",
            "The JSON value could not be converted to System.Decimal. Path: $.total | Position: {n}.",
        ),
        (
            "System.Collections.Generic.KeyNotFoundException",
            "The given key 'PaymentProfile{n}' was not present in the dictionary.",
        ),
    ),
    _S.DISK: (("System.IO.IOException", "No space left on device : '/var/lib/{svc}/segment-{n}.dat'"),),
    _S.CUT: (("System.Threading.Tasks.TaskCanceledException", "The request to {peer} was canceled after {ms} ms."),),
    _S.REFUSED: (("System.Net.Sockets.SocketException", "Connection refused ({peer})"),),
    _S.UPSTREAM: (("System.Net.Http.HttpRequestException", "Response status code {status} from {peer}, request {id}"),),
    _S.FLAP: (
        ("Microsoft.Data.SqlClient.SqlException", "Lock request time out period exceeded, process {n}."),
        ("System.IO.IOException", "Unable to read data from the transport connection: Connection reset by peer."),
        ("System.Security.Authentication.AuthenticationException", "The remote certificate of {host} is invalid: NotTimeValid"),
    ),
}
_NODE: dict[Symptom, _Texts] = {
    _S.MEMORY: (("RangeError", "Array buffer allocation failed: JavaScript heap out of memory"),),
    _S.POOL: (("TimeoutError", "ResourceRequest timed out after {ms} ms, {n} pending acquires on {host}"),),
    _S.BUG: (
        ("TypeError", "Cannot read properties of undefined (reading 'total') for order {order}"),
        ("SyntaxError", "Unexpected token u in JSON at position {n}"),
        ("Error", "Missing required environment variable PAYMENT_PROFILE_{n}"),
    ),
    _S.DISK: (("Error", "ENOSPC: no space left on device, write '/var/lib/{svc}/segment-{n}.dat'"),),
    _S.CUT: (("AxiosError", "ETIMEDOUT: timeout of {ms}ms exceeded calling {peer}"),),
    _S.REFUSED: (("Error", "connect ECONNREFUSED {peer}"),),
    _S.UPSTREAM: (("AxiosError", "Request failed with status code {status} from {peer}, request {id}"),),
}
_PYTHON: dict[Symptom, _Texts] = {
    _S.MEMORY: (("MemoryError", "Unable to allocate {n}.5 MiB for an array with shape ({ms}, 128)"),),
    _S.POOL: (
        ("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 10 overflow 0 reached, connection timed out, timeout {ms} ms"),
    ),
    _S.BUG: (
        ("AttributeError", "'NoneType' object has no attribute 'total' (order {order})"),
        (
            "pydantic_core._pydantic_core.ValidationError",
            "{n} validation errors for Order: total Input should be a valid decimal",
        ),
        ("KeyError", "'PAYMENT_PROFILE_{n}'"),
    ),
    _S.DISK: (("OSError", "[Errno 28] No space left on device: '/var/lib/{svc}/segment-{n}.dat'"),),
    _S.THROTTLED: (
        ("requests.exceptions.HTTPError", "429 Client Error: Too Many Requests for url: https://{host}/v3/messages"),
    ),
    _S.OUTAGE: (
        ("requests.exceptions.HTTPError", "503 Server Error: Service Unavailable for url: https://{host}/"),
        ("requests.exceptions.ConnectTimeout", "HTTPSConnectionPool(host='{host}', port={port}): timed out after {ms} ms"),
        ("requests.exceptions.ConnectionError", "('Connection aborted.', RemoteDisconnected('{host} closed connection'))"),
    ),
    _S.CUT: (("TimeoutError", "timed out after {ms} ms talking to {peer}"),),
    _S.REFUSED: (("ConnectionRefusedError", "[Errno 111] Connection refused: {peer}"),),
}
_RUST: dict[Symptom, _Texts] = {
    _S.MEMORY: (("alloc::collections::TryReserveError", "memory allocation of {n}8576 bytes failed"),),
    _S.POOL: (("sqlx::Error::PoolTimedOut", "pool timed out while waiting for an open connection ({ms} ms)"),),
    _S.BUG: (
        ("panic", "called `Option::unwrap()` on a `None` value, order {order}"),
        ("serde_json::Error", "missing field `total` at line 1 column {n}"),
        ("config::ConfigError", 'configuration property "payment.profile.{n}" not found'),
    ),
    _S.DISK: (("std::io::Error", "No space left on device (os error 28) writing segment-{n}.dat"),),
    _S.CUT: (("reqwest::Error", "error sending request to {peer}: operation timed out after {ms} ms"),),
    _S.REFUSED: (("hyper::Error", "tcp connect error: Connection refused (os error 111) {peer}"),),
}
_LANGUAGES = {"java": _JAVA, "go": _GO, "dotnet": _DOTNET, "nodejs": _NODE, "python": _PYTHON, "rust": _RUST}
_PLAIN = {
    "java": "java.lang.RuntimeException",
    "go": "*errors.errorString",
    "dotnet": "System.Exception",
    "nodejs": "Error",
    "python": "RuntimeError",
    "rust": "anyhow::Error",
}
INFO_LINES = (
    "{op} done in {ms} ms",
    "order {order} accepted",
    "loaded {n} entries from cache",
    "health check ok, {n} open requests",
)
"""What services write on a quiet day."""


def compose(symptom: int, language: str, variant: int, salt: int, words: dict[str, str]) -> Trouble:
    """Return what a symptom says.

    Parameters
    ----------
    symptom : int
        A `Symptom`.
    language : str
        Of the service that reports it.
    variant : int
        Chooses among messages; the same for a whole fault.
    salt : int
        Source of numbers and ids, at least 0.
    words : dict of str
        ``svc``, ``op``, ``peer``, ``host``, ``port``, ``status``.

    Returns
    -------
    Trouble

    Examples
    --------
    >>> words = {"svc": "cart", "op": "GET /", "peer": "user:3012", "host": "db", "port": "5432", "status": "503"}
    >>> compose(Symptom.REFUSED, "go", 0, 7, words).message
    'dial tcp user:3012: connect: connection refused'
    """
    kind = Symptom(symptom)
    texts = _LANGUAGES[language].get(kind) or _ANY[kind]
    type_, template = texts[variant % len(texts)]
    return Trouble(type_ or _PLAIN[language], template.format(**words, **_numbers(salt)))


def info(salt: int, words: dict[str, str]) -> str:
    """Return an everyday log line."""
    return INFO_LINES[salt % len(INFO_LINES)].format(**words, **_numbers(salt))


def _numbers(salt: int) -> dict[str, str]:
    return {
        "n": str(2 + (salt >> 8) % 29),
        "ms": str(200 + (salt >> 13) % 4800),
        "id": f"{salt:016x}",
        "order": f"SO-{100000 + (salt >> 20) % 900000}",
        "pct": str(60 + (salt >> 28) % 40),
    }
