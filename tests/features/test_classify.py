"""Errors as real libraries report them, and what each is."""

from __future__ import annotations

from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.classify import Classification, classify, classify_event, kind_of
from features.event import ErrorRecord
from features.fingerprint import Templates
from features.rules import Rules
from features.taxonomy import CATEGORIES, KINDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def of(exception_type: str = "", message: str = "", stack: str = "", **attributes: str) -> Classification:
    """Classify; in attribute names `__` stands for a dot."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    record = ErrorRecord(
        "span", "cart", "GET", 0, exception_type=exception_type, message=message, stack=stack, attributes=named
    )
    found = classify(record)
    assert kind_of(record) == kind_of(record) == found.kind, "the first time and from memory"
    return found


JAVA = [
    ("java.net.SocketTimeoutException", "Read timed out", "timeout"),
    ("java.util.concurrent.TimeoutException", "", "timeout"),
    ("org.apache.http.conn.ConnectTimeoutException", "Connect to api:443 timed out", "connect_timeout"),
    ("java.net.ConnectException", "Connection refused (Connection refused)", "connection_refused"),
    ("java.net.ConnectException", "Connection timed out: connect", "connect_timeout"),
    ("java.net.SocketException", "Connection reset", "connection_reset"),
    ("java.net.SocketException", "Too many open files", "handle_exhaustion"),
    ("java.net.UnknownHostException", "payment.svc", "dns"),
    ("java.net.NoRouteToHostException", "No route to host", "unreachable"),
    ("javax.net.ssl.SSLHandshakeException", "PKIX path building failed", "tls"),
    ("java.io.IOException", "Broken pipe", "connection_reset"),
    ("java.io.IOException", "No space left on device", "disk_full"),
    ("java.io.IOException", "", "io_error"),
    ("java.io.FileNotFoundException", "/etc/app.yml (No such file or directory)", "file_missing"),
    ("java.lang.OutOfMemoryError", "Java heap space", "out_of_memory"),
    ("java.lang.OutOfMemoryError", "", "out_of_memory"),
    ("java.lang.StackOverflowError", "", "stack_overflow"),
    ("java.lang.NullPointerException", 'Cannot invoke "String.length()" because "<local1>" is null', "null_reference"),
    ("java.lang.ArrayIndexOutOfBoundsException", "Index 5 out of bounds for length 5", "out_of_bounds"),
    ("java.lang.ClassCastException", "class A cannot be cast to class B", "type_error"),
    ("java.lang.ArithmeticException", "/ by zero", "arithmetic"),
    ("java.lang.IllegalStateException", "No instances available for ts-basic-service", "dependency_unavailable"),
    ("java.lang.IllegalStateException", "", "illegal_state"),
    ("java.lang.NoSuchMethodError", "'void a.B.c()'", "api_incompatible"),
    ("java.lang.UnsupportedClassVersionError", "", "version_mismatch"),
    ("java.lang.UnsupportedOperationException", "", "unsupported"),
    ("java.lang.ClassNotFoundException", "org.postgresql.Driver", "missing_module"),
    ("java.util.ConcurrentModificationException", "", "race"),
    ("java.util.concurrent.RejectedExecutionException", "Task rejected from pool", "overload"),
    ("com.fasterxml.jackson.core.JsonParseException", "Unexpected character", "malformed_data"),
    ("com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException", "Unrecognized field", "schema_mismatch"),
    ("java.lang.NumberFormatException", 'For input string: "abc"', "malformed_data"),
    ("org.springframework.web.bind.MethodArgumentNotValidException", "", "validation"),
    ("org.springframework.dao.DuplicateKeyException", "", "duplicate"),
    ("org.springframework.dao.DataIntegrityViolationException", "could not execute statement", "integrity"),
    ("org.springframework.dao.CannotAcquireLockException", "", "lock_timeout"),
    ("org.springframework.orm.ObjectOptimisticLockingFailureException", "", "conflict"),
    ("org.springframework.beans.factory.BeanCreationException", "", "bad_configuration"),
    ("org.springframework.security.access.AccessDeniedException", "Access is denied", "permission_denied"),
    ("org.springframework.security.authentication.BadCredentialsException", "Bad credentials", "unauthenticated"),
    ("io.jsonwebtoken.ExpiredJwtException", "JWT expired 300 s ago", "token_expired"),
    ("org.springframework.web.client.HttpServerErrorException$ServiceUnavailable", "503", "dependency_unavailable"),
    (
        "org.springframework.web.client.HttpServerErrorException$InternalServerError",
        "500 Internal Server Error: [...]",
        "bad_upstream_response",
    ),
    ("org.springframework.web.client.HttpClientErrorException$NotFound", "404", "not_found"),
    ("org.springframework.web.client.HttpClientErrorException$TooManyRequests", "429", "rate_limited"),
    ("org.springframework.web.client.ResourceAccessException", "I/O error on GET: Connection refused", "connection_refused"),
    ("io.github.resilience4j.circuitbreaker.CallNotPermittedException", "CircuitBreaker 'pay' is OPEN", "circuit_open"),
    (
        "java.sql.SQLTransientConnectionException",
        "HikariPool-1 - Connection is not available, request timed out",
        "pool_exhausted",
    ),
    ("org.apache.kafka.common.errors.RecordTooLargeException", "", "too_large"),
    ("org.apache.kafka.common.errors.NotLeaderOrFollowerException", "", "dependency_unavailable"),
    ("org.apache.kafka.clients.consumer.CommitFailedException", "", "pipeline_failed"),
    ("jakarta.persistence.EntityNotFoundException", "", "not_found"),
    ("java.lang.InterruptedException", "", "cancelled"),
    ("java.net.BindException", "Address already in use", "start_failed"),
    ("java.lang.RuntimeException", "Order status wrong", "business_rule"),
    ("com.shop.InsufficientStockException", "3 wanted, 1 left", "out_of_stock"),
    ("com.shop.PaymentGatewayTimeoutException", "", "timeout"),
]
PYTHON = [
    ("TimeoutError", "", "timeout"),
    ("requests.exceptions.ReadTimeout", "HTTPConnectionPool(host='a'): Read timed out. (read timeout=3)", "timeout"),
    ("requests.exceptions.ConnectTimeout", "", "connect_timeout"),
    ("requests.exceptions.ConnectionError", "[Errno 111] Connection refused", "connection_refused"),
    ("requests.exceptions.ConnectionError", "Failed to resolve 'api' ([Errno -2] Name or service not known)", "dns"),
    ("requests.exceptions.SSLError", "certificate verify failed", "tls"),
    ("httpx.RemoteProtocolError", "Server disconnected without sending a response.", "connection_reset"),
    ("httpx.PoolTimeout", "", "pool_exhausted"),
    ("socket.gaierror", "[Errno -3] Temporary failure in name resolution", "dns"),
    ("ConnectionResetError", "[Errno 104] Connection reset by peer", "connection_reset"),
    ("BrokenPipeError", "[Errno 32] Broken pipe", "connection_reset"),
    ("OSError", "[Errno 28] No space left on device", "disk_full"),
    ("OSError", "[Errno 24] Too many open files", "handle_exhaustion"),
    ("MemoryError", "", "out_of_memory"),
    ("RecursionError", "maximum recursion depth exceeded", "stack_overflow"),
    ("AttributeError", "'NoneType' object has no attribute 'id'", "null_reference"),
    ("TypeError", "'NoneType' object is not subscriptable", "null_reference"),
    ("TypeError", "f() got an unexpected keyword argument 'x'", "api_incompatible"),
    ("TypeError", "", "type_error"),
    ("KeyError", "'user_id'", "out_of_bounds"),
    ("IndexError", "list index out of range", "out_of_bounds"),
    ("ZeroDivisionError", "division by zero", "arithmetic"),
    ("AssertionError", "", "assertion"),
    ("NotImplementedError", "", "unsupported"),
    ("ModuleNotFoundError", "No module named 'yaml'", "missing_module"),
    ("FileNotFoundError", "[Errno 2] No such file or directory: 'a.csv'", "file_missing"),
    ("PermissionError", "[Errno 13] Permission denied", "permission_denied"),
    ("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", "malformed_data"),
    ("UnicodeDecodeError", "'utf-8' codec can't decode byte 0xff", "malformed_data"),
    ("ValueError", "invalid literal for int() with base 10: 'x'", "malformed_data"),
    ("ValueError", "", "validation"),
    ("pydantic_core._pydantic_core.ValidationError", "1 validation error for Order", "validation"),
    ("django.core.exceptions.ImproperlyConfigured", "The SECRET_KEY setting must not be empty.", "bad_configuration"),
    ("app.models.Order.DoesNotExist", "Order matching query does not exist.", "not_found"),
    ("django.db.utils.IntegrityError", "UNIQUE constraint failed: a.b", "integrity"),
    ("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 5 overflow 10 reached", "pool_exhausted"),
    ("sqlalchemy.exc.OperationalError", "(psycopg2.OperationalError) FATAL: sorry, too many clients already", "pool_exhausted"),
    ("sqlite3.OperationalError", "database is locked", "lock_timeout"),
    ("sqlite3.OperationalError", "no such table: users", "schema_mismatch"),
    ("psycopg2.errors.DeadlockDetected", "deadlock detected", "deadlock"),
    ("psycopg2.errors.SerializationFailure", "", "conflict"),
    ("psycopg2.OperationalError", "", "dependency_unavailable"),
    ("redis.exceptions.ReadOnlyError", "You can't write against a read only replica.", "read_only"),
    ("botocore.exceptions.NoCredentialsError", "Unable to locate credentials", "missing_secret"),
    ("botocore.errorfactory.ThrottlingException", "Rate exceeded", "rate_limited"),
    ("openai.RateLimitError", "", "rate_limited"),
    ("asyncio.exceptions.CancelledError", "", "cancelled"),
    ("kafka.errors.NoBrokersAvailable", "NoBrokersAvailable", "dependency_unavailable"),
    ("subprocess.CalledProcessError", "Command 'x' returned non-zero exit status 1.", "job_failed"),
    ("jwt.exceptions.ExpiredSignatureError", "Signature has expired", "token_expired"),
]
DOTNET = [
    ("System.NullReferenceException", "Object reference not set to an instance of an object.", "null_reference"),
    ("System.TimeoutException", "The operation has timed out.", "timeout"),
    ("System.Threading.Tasks.TaskCanceledException", "A task was canceled.", "cancelled"),
    ("System.Net.Http.HttpRequestException", "Connection refused (localhost:5000)", "connection_refused"),
    ("System.Net.Sockets.SocketException", "No such host is known.", "dns"),
    ("System.InvalidOperationException", "Sequence contains no elements", "out_of_bounds"),
    ("System.InvalidCastException", "", "type_error"),
    ("System.OutOfMemoryException", "", "out_of_memory"),
    ("System.UnauthorizedAccessException", "Access to the path is denied.", "permission_denied"),
    ("System.IO.FileNotFoundException", "Could not find file", "file_missing"),
    ("Microsoft.EntityFrameworkCore.DbUpdateConcurrencyException", "", "conflict"),
    ("Polly.CircuitBreaker.BrokenCircuitException", "The circuit is now open", "circuit_open"),
    ("System.Text.Json.JsonException", "'<' is an invalid start of a value.", "malformed_data"),
    ("System.MissingMethodException", "", "api_incompatible"),
    ("Microsoft.Data.SqlClient.SqlException", "Transaction was deadlocked on lock resources", "deadlock"),
]
GO = [
    ("*net.OpError", "dial tcp 10.0.0.1:5432: connect: connection refused", "connection_refused"),
    ("*net.OpError", "dial tcp 10.0.0.1:443: i/o timeout", "connect_timeout"),
    ("*net.DNSError", "lookup api on 10.96.0.10:53: no such host", "dns"),
    ("*errors.errorString", "EOF while talking: unexpected EOF", "connection_reset"),
    ("*errors.errorString", "sql: no rows in result set", "not_found"),
    ("*fmt.wrapError", "open /etc/app.toml: no such file or directory", "file_missing"),
    ("context.deadlineExceededError", "context deadline exceeded", "timeout"),
    ("*errors.errorString", "context canceled", "cancelled"),
    ("*json.SyntaxError", "invalid character '<' looking for beginning of value", "malformed_data"),
    ("*strconv.NumError", 'strconv.Atoi: parsing "x": invalid syntax', "malformed_data"),
    ("runtime.boundsError", "runtime error: index out of range [3] with length 3", "out_of_bounds"),
    ("runtime.errorString", "runtime error: invalid memory address or nil pointer dereference", "null_reference"),
    ("*url.Error", "x509: certificate signed by unknown authority", "tls"),
    ("*status.Error", "rpc error: code = Unavailable desc = transport is closing", "connection_reset"),
    ("*status.Error", "rpc error: code = ResourceExhausted desc = quota exceeded for project", "quota_exceeded"),
    ("*pq.Error", 'pq: duplicate key value violates unique constraint "a"', "duplicate"),
    ("*fs.PathError", "write /data/x: no space left on device", "disk_full"),
]
JAVASCRIPT = [
    ("Error", "connect ECONNREFUSED 127.0.0.1:5432", "connection_refused"),
    ("Error", "getaddrinfo ENOTFOUND api.internal", "dns"),
    ("Error", "read ECONNRESET", "connection_reset"),
    ("Error", "socket hang up", "connection_reset"),
    ("ECONNREFUSED", "", "connection_refused"),
    ("ETIMEDOUT", "", "timeout"),
    ("TypeError", "Cannot read properties of undefined (reading 'id')", "null_reference"),
    ("TypeError", "x.map is not a function", "type_error"),
    ("ReferenceError", "x is not defined", "null_reference"),
    ("RangeError", "Maximum call stack size exceeded", "stack_overflow"),
    ("SyntaxError", "Unexpected token < in JSON at position 0", "malformed_data"),
    ("AxiosError", "Request failed with status code 503", "dependency_unavailable"),
    ("AxiosError", "timeout of 5000ms exceeded", "timeout"),
    ("AbortError", "The operation was aborted", "cancelled"),
    ("MongoServerError", "E11000 duplicate key error collection: a.b", "duplicate"),
    ("SequelizeUniqueConstraintError", "Validation error", "duplicate"),
    ("TokenExpiredError", "jwt expired", "token_expired"),
    ("PayloadTooLargeError", "request entity too large", "too_large"),
    ("FATAL", "Reached heap limit Allocation failed - JavaScript heap out of memory", "out_of_memory"),
]
RUST = [
    ("std::io::Error", "Connection refused (os error 111)", "connection_refused"),
    ("reqwest::Error", "error sending request: operation timed out", "timeout"),
    ("serde_json::Error", "missing field `id` at line 1 column 20", "malformed_data"),
    ("sqlx::Error", "pool timed out while waiting for an open connection", "pool_exhausted"),
    ("tokio::time::error::Elapsed", "deadline has elapsed", "timeout"),
    ("core::num::ParseIntError", "invalid digit found in string", "malformed_data"),
    ("panic", "called `Option::unwrap()` on a `None` value", "crash"),
]


@pytest.mark.parametrize(("exception_type", "message", "kind"), JAVA + PYTHON + DOTNET + GO + JAVASCRIPT + RUST)
def test_an_exception_is_recognised_in_every_language(exception_type: str, message: str, kind: str) -> None:
    assert of(exception_type, message).kind == kind


@pytest.mark.parametrize(
    ("attributes", "kind", "by"),
    [
        ({"http__response__status_code": "429"}, "rate_limited", "http"),
        ({"http__status_code": "401"}, "unauthenticated", "http"),
        ({"http__response__status_code": "403"}, "permission_denied", "http"),
        ({"http__response__status_code": "504"}, "timeout", "http"),
        ({"http__response__status_code": "502"}, "bad_upstream_response", "http"),
        ({"http__response__status_code": "503", "url__full": "http://pay/charge"}, "dependency_unavailable", "http"),
        ({"http__response__status_code": "503", "http__route": "/charge"}, "overload", "http"),
        ({"http__response__status_code": "500", "http__route": "/charge"}, "internal_error", "http"),
        ({"http__response__status_code": "500", "server__address": "pay"}, "bad_upstream_response", "http"),
        ({"http__response__status_code": "507"}, "disk_full", "http"),
        ({"http__response__status_code": "426"}, "version_mismatch", "http"),
        ({"error__type": "500", "http__route": "/"}, "internal_error", "error.type"),
        ({"error__type": "timeout"}, "timeout", "error.type"),
        ({"error__type": "name_resolution_error"}, "dns", "error.type"),
        ({"error__type": "java.net.UnknownHostException"}, "dns", "error.type"),
        ({"error__type": "DEADLINE_EXCEEDED"}, "timeout", "error.type"),
        ({"error__type": "14", "rpc__system": "grpc"}, "dependency_unavailable", "error.type"),
        ({"error__type": "23505", "db__system__name": "postgresql"}, "duplicate", "error.type"),
        ({"error__type": "_OTHER", "http__response__status_code": "413"}, "too_large", "http"),
        ({"rpc__grpc__status_code": "4"}, "timeout", "rpc"),
        ({"rpc__grpc__status_code": "8"}, "rate_limited", "rpc"),
        ({"rpc__response__status_code": "UNAVAILABLE"}, "dependency_unavailable", "rpc"),
        ({"rpc__status_code": "PERMISSION_DENIED"}, "permission_denied", "rpc"),
        ({"rpc__connect_rpc__error_code": "not_found"}, "not_found", "rpc"),
        ({"rpc__jsonrpc__error_code": "-32601"}, "api_incompatible", "rpc"),
        ({"db__response__status_code": "40P01", "db__system__name": "postgresql"}, "deadlock", "db"),
        ({"db__response__status_code": "53300", "db__system": "postgresql"}, "pool_exhausted", "db"),
        ({"db__response__status_code": "1205", "db__system__name": "mysql"}, "lock_timeout", "db"),
        ({"db__response__status_code": "1205", "db__system__name": "microsoft.sql_server"}, "deadlock", "db"),
        ({"db__response__status_code": "ORA-00060", "db__system__name": "oracle.db"}, "deadlock", "db"),
        ({"db__response__status_code": "ORA-20117", "db__system__name": "oracle.db"}, "business_rule", "db"),
        ({"db__response__status_code": "11000", "db__system__name": "mongodb"}, "duplicate", "db"),
        ({"db__response__status_code": "OOM", "db__system__name": "redis"}, "out_of_memory", "db"),
        ({"db__response__status_code": "429", "db__system__name": "elasticsearch"}, "rate_limited", "db"),
        ({"messaging__system": "kafka", "messaging__operation__type": "process"}, "message_failed", "messaging"),
        ({"messaging__system": "rabbitmq", "messaging__operation": "publish"}, "pipeline_failed", "messaging"),
        ({"exception__type": "System.TimeoutException"}, "timeout", "exception.type"),
        ({"error__type": "_OTHER"}, "unknown", "unknown"),
        ({"http__response__status_code": "200"}, "unknown", "unknown"),
        ({"rpc__grpc__status_code": "2"}, "unknown", "unknown"),
        ({"db__response__status_code": "weird"}, "unknown", "unknown"),
        ({"error__type": "OK"}, "unknown", "unknown"),
    ],
)
def test_the_semantic_conventions_decide(attributes: dict[str, str], kind: str, by: str) -> None:
    found = of(**attributes)
    assert (found.kind, found.by) == (kind, by)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "Servlet threw exception [nested exception is java.lang.IllegalStateException: No instances available for x]",
            "dependency_unavailable",
        ),
        ("[ticketExecute][ticket execute error: Order Status Wrong][orderId: 9f]", "business_rule"),
        ("[findContactsById][No contacts according to contactsId]", "not_found"),
        ("[verifyCode][Get image code warn][Code not found]", "not_found"),
        ("[getRoutesByRouteIds][Get Route By Ids Failed]", "unknown"),
        ("panic: assignment to entry in nil map", "crash"),
        ("Back-off restarting failed container: CrashLoopBackOff", "start_failed"),
        ("Container killed: OOMKilled", "out_of_memory"),
        ("FATAL:  remaining connection slots are reserved", "pool_exhausted"),
        ("Lock wait timeout exceeded; try restarting transaction", "lock_timeout"),
        ("upstream connect error or disconnect/reset before headers", "connection_reset"),
        ("SSL routines: tlsv1 alert unknown ca: certificate unknown", "tls"),
        ("environment variable DB_URL not set", "bad_configuration"),
        ("API key is missing", "missing_secret"),
        ("schema registry: incompatible schema for subject orders", "schema_mismatch"),
        ("OTLP exporter failed: queue is dropping", "export_failed"),
        ("failed to publish event to topic orders", "pipeline_failed"),
        ("message moved to dead letter queue after 5 attempts", "message_failed"),
        ("nightly job reconcile failed after 3 steps", "job_failed"),
        ("slow query took 12 s", "slow"),
        ("server is overloaded, try later", "overload"),
        ("card was declined by issuer", "payment_declined"),
        ("item 7 is out of stock", "out_of_stock"),
        ("monthly quota has been exceeded", "quota_exceeded"),
        ("CSRF token mismatch", "attack_blocked"),
        ("checksum mismatch in segment 17", "data_loss"),
        ("client version 1.2 is not supported, upgrade: version too old", "version_mismatch"),
        ("server is shutting down", "shutdown"),
        ("GET /x returned 404", "not_found"),
        ("call returned status 502", "bad_upstream_response"),
        ("rpc error: code = AlreadyExists desc = cart", "duplicate"),
        ("UNAUTHENTICATED: who are you", "unauthenticated"),
        ("wrapped com.shop.OrderLockedByOtherDeadlockException", "deadlock"),
        ("caught java.io.IOException", "io_error"),
        ("java.lang.RuntimeException: oops", "unknown"),
        ("oops", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_message_decides_when_nothing_else_does(message: str, kind: str) -> None:
    assert of(message=message).kind == kind


def test_a_generic_type_leaves_the_word_to_more_specific_evidence() -> None:
    assert of("java.lang.RuntimeException", http__response__status_code="429").kind == "rate_limited"
    assert of("java.io.IOException", "Connection reset by peer").by == "message"
    assert of("org.postgresql.util.PSQLException", db__response__status_code="40001").kind == "conflict"


def test_the_root_cause_in_the_stack_decides_when_the_outer_type_is_generic() -> None:
    java = "java.lang.RuntimeException: it failed\n\tat a.B.c(B.java:1)\nCaused by: java.net.UnknownHostException: api\n\tat a.B.d(B.java:2)"
    assert of("java.lang.RuntimeException", "it failed", java).kind == "dns"
    python = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\nredis.exceptions.TimeoutError: no\n'
    assert of(stack=python).kind == "timeout"
    assert of(stack="com.shop.NoSuchOrderException: gone\n\tat a.B.c(B.java:1)").kind == "not_found"
    assert of(stack="java.lang.RuntimeException: oops\n\tat a.B.c(B.java:1)").kind == "unknown"
    assert of(stack="   at Shop.Cart.Add()").kind == "unknown"


def test_unknown_is_visible_and_in_none_of_the_13_categories() -> None:
    found = of("com.acme.Oops", "it hurts")
    assert (found.kind, found.category, found.by, found.rule) == ("unknown", "unknown", "unknown", "")
    assert "unknown" not in CATEGORIES


def test_a_rule_of_the_user_goes_before_everything() -> None:
    rules = Rules.from_toml('[[rule]]\nkind = "business_rule"\nexception_type = "TimeoutError"')
    found = classify(ErrorRecord("log", "cart", "*", 0, exception_type="TimeoutError"), rules)
    assert (found.kind, found.by, found.rule) == ("business_rule", "user", "rule 1")


@given(
    st.text(),
    st.text(max_size=3000),
    st.text(),
    st.dictionaries(
        st.sampled_from(
            [
                "error.type",
                "http.status_code",
                "rpc.grpc.status_code",
                "db.response.status_code",
                "db.system",
                "messaging.system",
            ]
        ),
        st.text(max_size=40),
    ),
)
@settings(max_examples=200, deadline=None)
def test_classify_never_raises_and_answers_from_the_table(
    kind: str, message: str, stack: str, attributes: dict[str, str]
) -> None:
    found = classify(ErrorRecord("span", "a", "b", 0, exception_type=kind, message=message, stack=stack, attributes=attributes))
    assert found.category == KINDS[found.kind].category


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "a." * 50_000, "=" * 50_000, "pool " * 20_000, "'" * 99_999, "Caused by: x\n" * 9000, "-" * 90_000]
)
def test_hostile_text_takes_no_longer_than_its_bound(text: str) -> None:
    start = process_time()
    classify_event(
        ErrorRecord("log", "a", "*", 0, exception_type=text, message=text, stack=text),
        tenant="t",
        time=NOW,
        received_at=NOW,
        templates=Templates(),
    )
    assert process_time() - start < 1.0


def test_an_event_carries_what_was_found_and_what_was_reported() -> None:
    record = ErrorRecord("log", "cart", "*", 0, severity=18, trace_id="ab", message="disk full on n1", attributes={"a": "b"})
    event = classify_event(record, tenant="acme", time=NOW, received_at=NOW, templates=Templates())
    assert (event.tenant, event.kind, event.category, event.severity) == ("acme", "disk_full", "resource", 18)
    assert (event.trace_id, event.message, event.attributes, len(event.fingerprint)) == ("ab", record.message, {"a": "b"}, 16)


def test_a_span_gets_the_severity_of_its_kind_but_never_below_error() -> None:
    def severity(message: str) -> int:
        record = ErrorRecord("span", "cart", "GET", 0, message=message)
        return classify_event(record, tenant="t", time=NOW, received_at=NOW, templates=Templates()).severity

    assert severity("panic: no") == 21
    assert severity("order 7 not found") == 17


_VALUES = (
    "",
    "_OTHER",
    "TimeoutError",
    "java.io.IOException",
    "RuntimeException",
    "400",
    "404",
    "429",
    "500",
    "503",
    "14",
    "40P01",
    "1205",
    "UNAVAILABLE",
)
_NAMES = (
    "error.type",
    "exception.type",
    "http.response.status_code",
    "http.status_code",
    "rpc.grpc.status_code",
    "db.response.status_code",
    "http.route",
    "url.path",
    "seat",
)
_ATTRIBUTES = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(_NAMES, st.sampled_from(_VALUES)),
    "db.system.name": st.sampled_from(["postgresql", "mysql", "redis", ""]),
    "rpc.system": st.just("grpc"),
    "span.kind": st.sampled_from(["CLIENT", "server", ""]),
    "messaging.system": st.sampled_from(["kafka", ""]),
    "messaging.operation.type": st.sampled_from(["send", "process"]),
})  # fmt: skip
_MESSAGES = (
    "",
    "it hurts",
    "connection refused by 10.0.0.7",
    "exit code 137",
    "exit code 0",
    "seat 7 taken",
    "got http 503",
    "saw a FooException",
)
_STACKS = (
    "", "java.lang.RuntimeException: x\n\tat a.B.c(B.java:1)\nCaused by: java.net.UnknownHostException: db", "Traceback\nKeyError: 'a'",
    "FooException\n  at x", "java.io.IOException\n  at x",
)  # fmt: skip
_OWN = Rules.from_toml(
    '[[rule]]\nkind = "out_of_stock"\nmessage = "seat \\\\d+"\n[[rule]]\nkind = "race"\nattributes = {"seat" = "400"}'
)


@settings(max_examples=500)
@given(
    attributes=_ATTRIBUTES, message=st.sampled_from(_MESSAGES), stack=st.sampled_from(_STACKS), rules=st.sampled_from([Rules(), _OWN]),
    exception_type=st.sampled_from(_VALUES),
)  # fmt: skip
def test_what_is_remembered_of_the_parts_of_an_error_is_what_all_of_it_says(
    attributes: dict[str, str], message: str, stack: str, rules: Rules, exception_type: str
) -> None:
    record = ErrorRecord(
        "log", "cart", "*", 0, exception_type=exception_type, message=message, stack=stack, attributes=attributes
    )
    found = classify(record, rules)
    event = classify_event(record, tenant="a", time=NOW, received_at=NOW, templates=Templates(), rules=rules)
    assert kind_of(record, rules) == found.kind
    assert (event.kind, event.category, event.retryable, event.transient) == (
        found.kind, found.category, found.retryable, found.transient,
    )  # fmt: skip
