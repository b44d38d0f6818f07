"""Valid requests of all shapes: every field of the schema, filled along its descriptors from pools of what matters and what is odd.

The schema is walked, so a field that a later version of OTLP adds is filled too.
"""

from __future__ import annotations

import random
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = ["MESSAGES", "REQUESTS", "SECOND", "large", "request"]

REQUESTS: dict[str, type[Message]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
"""The signals that the C scanner takes, with the messages that both engines read."""

MESSAGES: dict[str, Descriptor] = {signal: cast("Descriptor", request.DESCRIPTOR) for signal, request in REQUESTS.items()}
"""Their types, along which bodies are taken apart."""

SECOND = 10**9
_DAY = 86_400 * SECOND
_NOW = 1_790_000_000 * SECOND

_KEYS = (
    "service.name", "service.namespace", "service.version", "service.instance.id", "k8s.pod.name", "host.name",
    "deployment.environment.name", "error.type", "error.message", "exception.type", "exception.message", "exception.stacktrace",
    "exception.escaped", "http.response.status_code", "http.status_code", "http.request.method", "http.method", "http.route",
    "url.path", "url.full", "http.target", "rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "rpc.service",
    "rpc.method", "rpc.system", "db.response.status_code", "db.system", "db.system.name", "db.namespace", "db.operation.name",
    "messaging.system", "messaging.destination.name", "messaging.operation.type", "peer.service", "server.address",
    "server.port", "net.peer.name", "network.peer.address", "code.function.name", "thread.name", "event.name", "enduser.id", "", "x", "message", "msg",
)  # fmt: skip
_TEXTS = (
    "", "*", "(*)", "_other", "unnamed", "a", "cart", "payment", "GET /cart", "GET", "POST", "/cart/{id}", "500", "503", "404", "200", "0", "2", "14", "UNAVAILABLE",
    "INTERNAL", "OK", "_OTHER", "timeout", "java.lang.NullPointerException", "ValueError", "it broke at 10.0.0.1:8080 id=4711",
    "ERROR", "error", "Fatal", "WARN", "info", "TRACE4", "exception", "cart.exception", "1.2.3", "node-7", "mysql", "kafka", "true",
    "\x00", "a\x00b", "\ufeffbom", "ä" * 7, "日本語のエラー", "😀" * 5, "e\u0301", "\u2028", "\x7f\x85\xa0", " padded ", "x" * 255,
    "x" * 256, "ä" * 256, "x" * 257, "😀" * 130, "y" * 4095, "ä" * 4096, "z" * 4100,
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no",
)  # fmt: skip
_STATES = (
    "ot=th:8", "ot=th:c", "ot=th:0", "ot=th:fffffffffffff", "ot=th:ffffffffffffff", "ot=th:fffffffffffffff", "ot=th:", "ot=th:G",
    "ot=th:8A", "ot=rv:6e6d1a75832a2f;th:e", "ot=th:4;rv:1", "ot=th:fd7", "ot=p:8;r:62", "congo=t61,ot=th:8", "a=b, ot=th:c ,c=d",
    "ot = th:8", "ot=th:8,ot=th:c", "OT=th:8", "ot=", "ot", "=", ",,,", "ot=;;th:8;", "ot=th:8;th:c", "\tot=th:8\t", "ot=th: 8",
    "ot=TH:8", "xot=th:8", "ot=th:00000000000001", "ot=th:7fffffffffffff", "ot=th:8\x00", "rojo=00f067aa0ba902b7", "ot=th:é",
    "ot=th:fffffffffff", "ot=th:ffffffffff8", "ot=th:fffff,", "vendor@ot=th:8,ot=th:a",
)  # fmt: skip
_INTS = (
    0,
    1,
    2,
    3,
    4,
    5,
    9,
    12,
    13,
    16,
    17,
    20,
    21,
    24,
    25,
    99,
    100,
    200,
    404,
    499,
    500,
    503,
    599,
    600,
    2**31 - 1,
    2**31,
    2**32,
)
_DOUBLES = (0.0, -0.0, 1.0, 500.0, 2.5, -1.0, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"), 2.0**53 + 2)
_TELLING = ("service.name", "peer.service", "server.address", "http.response.status_code", "error.type", "exception.message")
_CODES = ("0", "2", "14", "200", "404", "499", "500", "503", "599", "600", "0500", "5000")
_EVENTS = ("exception", "exception", "log", "", "Exception", "retry")
_SIZES = (0, 1, 1, 1, 2, 2, 3, 5)
_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}


def request(rng: random.Random, signal: str) -> bytes:
    """Return one valid request.

    Parameters
    ----------
    rng : random.Random
        Where the choices come from; a request shares ids, names and times, so that groups, edges and repeats arise.
    signal : {"traces", "logs"}
        Which request.
    """
    message = REQUESTS[signal]()
    _Filling(rng).fill(message, 0)
    return message.SerializeToString()


def large(rng: random.Random, signal: str, size: int = 1_200_000) -> bytes:
    """Return one valid request of many records, names and attributes, so that every table in the scanner grows.

    Parameters
    ----------
    rng : random.Random
        Where the choices come from.
    signal : {"traces", "logs"}
        Which request.
    size : int
        About how many bytes; beyond a MiB the scanner lets go of the interpreter's lock.
    """
    message = REQUESTS[signal]()
    filling = _Filling(rng)
    filling.density, filling.odd, filling.fresh, filling.many, filling.left = 0.5, 0.05, 0.6, 400, size
    filling.sizes = (0, 0, 1, 1, 2)
    while filling.left > 0:
        filling.fill(message, 0)
    return message.SerializeToString()


class _Filling:
    """One request's filling: how full it is, about how many bytes are left, and the few ids and texts that its records share."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.density = rng.choice((0.25, 0.6, 0.9, 1.0))
        self.odd = rng.choice((0.0, 0.05, 0.3))
        self.texts = rng.sample(_TEXTS, 6)
        self.ids = [rng.randbytes(16) for _ in range(3)]
        self.start = rng.choice((_NOW, _NOW, _NOW + 59 * SECOND, 0, 1, 2**63 - 5 * SECOND, 2**64 - 1, 3 * _DAY))
        self.fresh = rng.choice((0.0, 0.0, 0.0, 0.05, 0.6))
        self.many = 40 if rng.random() < 0.03 else 0
        self.sizes: tuple[int, ...] = _SIZES
        self.left = rng.choice((60, 250, 250, 1000, 1000, 4000, 30_000))

    def fill(self, message: Message, depth: int) -> None:
        """Set the fields of a message; of a oneof at most one stays, as protobuf has it."""
        descriptor = cast("Descriptor", message.DESCRIPTOR)
        fields: list[FieldDescriptor] = list(descriptor.fields)
        if descriptor.name == "AnyValue":
            fields = [self.value_field(fields, depth)] if self.rng.random() < 0.97 else []
        for field in fields:
            wanted = 1.0 if (field.message_type is not None and depth < 3) or descriptor.name == "AnyValue" else self.density
            if self.rng.random() < wanted:
                self.set(message, field, depth)
        if isinstance(message, KeyValue) and message.key.endswith("status_code") and self.rng.random() < 0.7:
            code = self.rng.choice(_CODES)
            message.value.CopyFrom(AnyValue(string_value=code) if self.rng.random() < 0.5 else AnyValue(int_value=int(code)))

    def value_field(self, fields: list[FieldDescriptor], depth: int) -> FieldDescriptor:
        """Return the field of an AnyValue to set: mostly a string, seldom a nested one, ever more seldom the deeper."""
        flat = [field for field in fields if field.message_type is None]
        if self.rng.random() < 0.5:
            return next(field for field in flat if field.name == "string_value")
        return self.rng.choice(fields if self.rng.random() < 0.5 and depth < 14 else flat)

    def set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        """Set one field, or add to it."""
        target: Any = getattr(message, field.name)
        if field.message_type is not None:
            if not field.is_repeated:
                target.SetInParent()
                self.fill(target, depth + 1)
                return
            most = self.many if field.name in {"spans", "log_records"} else 0
            most = 100 if field.name == "attributes" and self.rng.random() < 0.003 else most
            for _ in range(most or self.rng.choice(self.sizes)):
                if self.left > 0:
                    self.fill(target.add(), depth + 1)
        elif field.is_repeated:
            target.extend(self.scalar(field) for _ in range(self.rng.choice(self.sizes)))
        else:
            setattr(message, field.name, self.scalar(field))

    def scalar(self, field: FieldDescriptor) -> Any:
        """Return a value for a field that is no message."""
        self.left -= 8
        kind = field.type
        if kind == FieldDescriptor.TYPE_STRING:
            text = self.text(field)
            self.left -= len(text)
            return text
        if kind == FieldDescriptor.TYPE_BYTES:
            return self.identity(field)
        if kind == FieldDescriptor.TYPE_DOUBLE:
            return self.rng.choice(_DOUBLES)
        if kind == FieldDescriptor.TYPE_BOOL:
            return self.rng.random() < 0.5
        if kind == FieldDescriptor.TYPE_ENUM:
            assert field.enum_type is not None
            odd = self.rng.random() < self.odd
            return self.rng.choice((-1, 7, 1000, 2**31 - 1, -(2**31)) if odd else list(field.enum_type.values_by_number))
        return self.number(field)

    def text(self, field: FieldDescriptor) -> str:
        """Return a string, by what the field is for."""
        if field.name == "trace_state":
            return self.rng.choice(_STATES)
        if field.name == "key" and self.rng.random() < 0.4:
            return self.rng.choice(_TELLING)
        if self.rng.random() < self.fresh:
            return f"{self.rng.choice(('n', 'GET /a', 'é'))}{self.rng.randrange(100_000)}"
        if field.name == "key":
            return self.rng.choice(_KEYS)
        if field.full_name.endswith(".Event.name"):
            return self.rng.choice(_EVENTS)
        chosen = self.rng.choice(_TEXTS if self.rng.random() < 0.2 else self.texts)
        return chosen if len(chosen) <= self.left else chosen[:3]

    def identity(self, field: FieldDescriptor) -> bytes:
        """Return the bytes of an id, or of an attribute."""
        width = _IDS.get(field.name)
        if width is None or self.rng.random() < self.odd:
            return self.rng.choice((b"", b"\0" * 16, b"\0" * 8, b"\xff" * 7, b"\x80raw\xc3", self.rng.randbytes(33)))
        return self.rng.choice(self.ids)[:width] if self.rng.random() < 0.8 else self.rng.randbytes(width)

    def number(self, field: FieldDescriptor) -> int:
        """Return an integer within the field's type."""
        name: str = field.name
        if name.endswith("time_unix_nano"):
            if self.rng.random() < self.odd:
                return self.rng.choice((0, 1, 2**63 - 1, 2**63, 2**64 - 1, self.start + 2 * _DAY & 2**64 - 1))
            return (
                self.start + self.rng.choice((0, 1, 511_999, 512_000, 10**7, SECOND, 61 * SECOND, 90_000 * SECOND)) & 2**64 - 1
            )
        value = self.rng.choice(_INTS)
        if field.type in {FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_UINT32}:
            return value & 2**32 - 1
        if field.type == FieldDescriptor.TYPE_INT32:
            return value % 2**31 * self.rng.choice((1, 1, -1))
        if field.type == FieldDescriptor.TYPE_INT64 and self.rng.random() < 0.3:
            return self.rng.choice((-value, -(2**63), 2**63 - 1))
        return value
