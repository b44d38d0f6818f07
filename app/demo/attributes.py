"""Names and attributes of the shop's spans and processes, by the OpenTelemetry semantic conventions.

`app.demo.render` builds span templates from them, `app.demo.live` hands them to the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from app.demo.minute import Identity
from app.demo.shop import Component, Operation
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY
from app.demo.traces import CALL, ENTRY

__all__ = ["Value", "peer", "resource_attributes", "span_attributes", "span_kind", "span_name", "words"]

Value = str | int | float | bool

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
"""Numbers of ``opentelemetry.proto.trace.v1.Span.SpanKind``."""

_ENTRY_KINDS = {"http": SERVER, "grpc": SERVER, "consumer": CONSUMER, "job": INTERNAL}
_GRPC_CODES = {200: 0, 500: 13, 502: 14, 503: 14, 504: 4}
_RUNTIMES = {
    "java": "OpenJDK 64-Bit Server VM",
    "go": "go",
    "dotnet": ".NET",
    "nodejs": "nodejs",
    "python": "cpython",
    "rust": "rust",
}


def resource_attributes(service: int, instance: int, identity: Identity) -> Mapping[str, Value]:
    """Return the resource of a process.

    Parameters
    ----------
    service, instance : int
        Indices in the topology.
    identity : Identity
        Version and instance id at the time.

    Returns
    -------
    Mapping of str to Value
    """
    component = TOPOLOGY.components[service]
    ordinal = instance - int(TOPOLOGY.instances[0][service])
    return {
        "service.name": component.name,
        "service.namespace": "shop",
        "service.version": identity.version,
        "service.instance.id": identity.instance_id,
        "deployment.environment.name": "demo",
        "host.name": f"{component.name}-{ordinal}",
        "process.runtime.name": _RUNTIMES[component.language],
        "telemetry.sdk.language": component.language,
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.40.0",
    }


def span_name(role: int, ref: int) -> str:
    """Return the name of a span.

    Examples
    --------
    >>> span_name(ENTRY, 0), span_name(CALL, 0)
    ('GET /', 'GET')
    """
    if role == ENTRY:
        return TOPOLOGY.operations[ref].name
    if role == CALL:
        callee = TOPOLOGY.operations[TOPOLOGY.ends[1][ref]]
        if callee.kind == "consumer":
            return f"{callee.name.split()[0]} publish"
        return callee.name if callee.kind == "grpc" else callee.name.split()[0]
    operation = TOPOLOGY.operations[ref]
    external = TOPOLOGY.dependencies[TOPOLOGY.dependency[ref]].external
    return operation.statement.split()[0] if external else operation.statement


def span_kind(role: int, ref: int) -> int:
    """Return the kind of a span, by its number in the protocol."""
    if role == ENTRY:
        return _ENTRY_KINDS[TOPOLOGY.operations[ref].kind]
    return PRODUCER if role == CALL and bool(TOPOLOGY.queued[ref]) else CLIENT


def peer(role: int, ref: int) -> tuple[str, int]:
    """Return host and port that a call goes to."""
    if role == CALL:
        callee = TOPOLOGY.components[TOPOLOGY.service[TOPOLOGY.ends[1][ref]]]
        return callee.name, callee.port
    dependency = TOPOLOGY.dependencies[TOPOLOGY.dependency[ref]]
    return dependency.host, dependency.port


@cache
def span_attributes(role: int, ref: int, status: int, symptom: int) -> Mapping[str, Value]:
    """Return the attributes that all spans of one role, reference and outcome share.

    Parameters
    ----------
    role, ref : int
        As in `app.demo.traces.SpanTable`.
    status : int
        HTTP status, 200 where all is well.
    symptom : int
        Why it failed, 0 where it did not.

    Returns
    -------
    Mapping of str to Value
    """
    if role == ENTRY:
        operation = TOPOLOGY.operations[ref]
        found = _entry(operation, TOPOLOGY.components[TOPOLOGY.service[ref]], status)
    elif role == CALL:
        found = _call(ref, status, symptom)
    else:
        found = _depend(ref, symptom)
    return found if not symptom else {**found, "error.type": _error_type(role, status, symptom)}


def _error_type(role: int, status: int, symptom: int) -> str:
    if symptom == Symptom.CUT:
        return "timeout"
    if symptom == Symptom.REFUSED:
        return "connection_refused"
    if role not in (ENTRY, CALL):
        return "429" if symptom == Symptom.THROTTLED else "503"
    return str(status)


def _entry(operation: Operation, component: Component, status: int) -> dict[str, Value]:
    if operation.kind == "http":
        method, route = operation.name.split()
        return {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": "http",
            "server.address": component.name,
            "server.port": component.port,
        }
    if operation.kind == "grpc":
        return _rpc(operation, component, status)
    if operation.kind == "consumer":
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": operation.name.split()[0],
            "messaging.consumer.group.name": component.name,
        }
    return {"job.name": operation.name}


def _rpc(operation: Operation, component: Component, status: int) -> dict[str, Value]:
    service, method = operation.name.split("/")
    return {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": _GRPC_CODES[status],
        "server.address": component.name,
        "server.port": component.port,
    }


def _call(edge: int, status: int, symptom: int) -> dict[str, Value]:
    callee = TOPOLOGY.operations[TOPOLOGY.ends[1][edge]]
    component = TOPOLOGY.components[TOPOLOGY.service[TOPOLOGY.ends[1][edge]]]
    if callee.kind == "consumer":
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.destination.name": callee.name.split()[0],
            "server.address": "kafka.internal",
            "server.port": 9092,
        }
    if callee.kind == "grpc":
        return _rpc(callee, component, status)
    method, route = callee.name.split()
    found: dict[str, Value] = {
        "http.request.method": method,
        "url.template": route,
        "server.address": component.name,
        "server.port": component.port,
    }
    # Nobody answered, so there is no status to tell.
    answered = symptom not in (Symptom.CUT, Symptom.REFUSED)
    return {**found, "http.response.status_code": status} if answered else found


def _depend(ref: int, symptom: int) -> dict[str, Value]:
    operation, dependency = TOPOLOGY.operations[ref], TOPOLOGY.dependencies[TOPOLOGY.dependency[ref]]
    if not dependency.external:
        verb, *target = operation.statement.split()
        return {
            "db.system.name": dependency.system,
            "db.operation.name": verb,
            "db.collection.name": target[0] if target else "",
            "db.query.summary": operation.statement,
            "server.address": dependency.host,
            "server.port": dependency.port,
        }
    method, route = operation.statement.split()
    found: dict[str, Value] = {
        "http.request.method": method,
        "url.template": route,
        "server.address": dependency.host,
        "server.port": dependency.port,
        "peer.service": dependency.name,
    }
    status = {0: 200, int(Symptom.THROTTLED): 429, int(Symptom.OUTAGE): 503}.get(symptom)
    return found if status is None else {**found, "http.response.status_code": status}


def words(service: int, role: int, ref: int, cause: int, status: int) -> dict[str, str]:
    """Return what `app.demo.messages.compose` fills in.

    Parameters
    ----------
    service : int
        Who reports.
    role, ref : int
        Its span; `role` -1 for a record without one, `ref` then being any operation of the service.
    cause : int
        Edge whose failure caused it, or -1.
    status : int
        Status that the peer answered.

    Returns
    -------
    dict of str
    """
    operation = ref if role != CALL else int(TOPOLOGY.ends[0][ref])
    host, port = peer(-1, operation)
    edge = ref if role == CALL else cause
    if edge < 0:  # a timeout without a named call is one of its own dependency
        name = f"{host}:{port}"
    else:
        callee, callee_port = peer(CALL, edge)
        name = f"{callee}:{callee_port}"
    return {
        "svc": TOPOLOGY.services[service],
        "op": TOPOLOGY.operations[operation].name,
        "peer": name,
        "host": host,
        "port": str(port),
        "status": str(status),
    }
