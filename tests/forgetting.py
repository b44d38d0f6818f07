"""Two tenants with much that names them, for tests of what is forgotten."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tests.app.ingest.requests import a_log, a_span, as_json, logs, span_id, traces
from tests.nodes import RunningNode, run_node

__all__ = ["GONE", "STAYS", "VALUE", "fed", "forms_of", "records", "series_of", "spans"]

GONE, STAYS = "acme-corp", "other"
VALUE = "cust-8f3a-blue"


def spans(running: RunningNode, number: int, tenant: str, said: str) -> bytes:
    at: dict[str, Any] = {"startTimeUnixNano": str(running.now_ns), "endTimeUnixNano": str(running.now_ns + 10**7)}
    found = []
    for service in range(3):
        n = number * 10 + service
        ids: dict[str, Any] = {"traceId": f"{n + 1:032x}", "spanId": span_id(n + 1)}
        beside = {"user.id": said, "peer.service": f"{tenant}-db", "note": f"cart of {said}"}
        found.append(
            traces(
                a_span(
                    status={"code": 2, "message": f"no cart for {said} of {tenant}"}, attributes=beside, kind=3, **at, **ids
                ),
                a_span(name=f"GET /{tenant}", **at, traceId=f"{n + 1:032x}", spanId=span_id(10**9 + n)),
                service=f"{tenant}-service-{service}",
                resource={"service.instance.id": f"{tenant}-pod", "service.version": f"{tenant}-1.0"},
            )["resourceSpans"][0]
        )
    return as_json({"resourceSpans": found})


def records(running: RunningNode, tenant: str, said: str) -> bytes:
    stack = f"E: bad\n  at shop.Cart.add(Cart.java:7)\nCaused by: user {said} of {tenant}"
    at: dict[str, Any] = {"timeUnixNano": str(running.now_ns)}
    one = a_log(
        body={"stringValue": f"{said}: user blocked by {tenant}"},
        attributes={"exception.stacktrace": stack, "user.id": said},
        **at,
    )
    return as_json(
        logs(one, a_log(body={"stringValue": f"cannot bill user {said} today"}, **at), service=f"{tenant}-service-0")
    )


def fed(folder: Path, said: str = VALUE, tenants: tuple[str, ...] = (GONE, STAYS), **over: Any) -> None:
    """Let a node take in some minutes of two tenants, with verdicts and models, and stop with an open minute."""
    with run_node(folder, **over) as running:
        for minute in range(4):
            for place, tenant in enumerate(tenants):
                who = said if minute % 2 else f"somebody-{tenant}"
                for signal, body in (
                    ("traces", spans(running, minute * 100 + place * 10, tenant, who)),
                    ("logs", records(running, tenant, who)),
                ):
                    assert running.post(signal, body, x_scope_orgid=tenant).status_code == 200
            if minute < 3:
                running.tick()
        documents, blobs = running.node.store.documents, running.node.store.blobs
        for tenant in tenants:
            url, whose = f"{running.served.api}/api/v1/feedback", {"x-scope-orgid": tenant}
            verdict = {
                "verdict": "missed",
                "service": f"{tenant}-service-0",
                "start": "2026-01-01T00:00:00Z",
                "end": "2026-01-01T01:00:00Z",
                "why": f"{said} told us",
            }
            assert running.client.post(url, json=verdict, headers=whose).status_code == 201
            shared, own = blobs.put(b"a model of both"), blobs.put(f"a model of {tenant}".encode())
            for number, digest in enumerate((shared, own)):
                documents.put("models", f"{tenant}/versions/{number}", json.dumps({"artifact_sha256": digest}).encode())
            documents.put("backtest-pages", f"{tenant}/run", gzip.compress(f"<p>{tenant}: {said}</p>".encode(), mtime=0))


def forms_of(data: bytes) -> Iterator[bytes]:
    """Yield bytes, and what they are when they are unpacked."""
    yield data
    for unpacked in (gzip.decompress, zlib.decompress):
        with suppress(OSError, zlib.error, EOFError):
            yield unpacked(data)
    if data[:2] == b"PK":
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            for name in arrays.files:
                yield name.encode() + arrays[name].tobytes()
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        for value in msgspec.msgpack.decode(data, type=dict[str, bytes]).values():
            yield from forms_of(value)


def series_of(states: Mapping[int, Mapping[str, bytes]], tenant: str) -> dict[str, Any]:
    """Return what the state of partitions holds of a tenant, array by array and series by series."""
    found: dict[str, Any] = {}
    for number, state in states.items():
        head = json.loads(state["memory/head"])
        keys = [tuple(key) for key in head["keys"]]
        chunks = [state[name] for name in sorted(state) if name.startswith("memory/rows/")]
        for place, chunk in enumerate(chunks):
            own = keys[place * 64 : (place + 1) * 64]
            with np.load(io.BytesIO(chunk), allow_pickle=False) as arrays:
                for name in arrays.files:
                    if len(arrays[name]) == len(own):
                        found |= {
                            f"{key} {name}": arrays[name][row].tobytes() for row, key in enumerate(own) if key[0] == tenant
                        }
        names = {tuple(key): service for key, service in zip(head["keys"], head["services"], strict=True)}
        found |= {f"{key} named": service for key, service in names.items() if key[0] == tenant}
        found[f"{number} edges"] = [edge for edge in head["edges"] if edge[0] == tenant]
        found[f"{number} rest"] = {
            name: value for name, value in state.items() if name.startswith((f"learners/{tenant}/", "worker/"))
        }
        for name in ("errors/templates", "errors/recent"):
            held = msgspec.msgpack.decode(state[name], type=dict[str, bytes])
            found[f"{number} {name}"] = {key: value for key, value in held.items() if key.split("\0")[0] == tenant}
    return found
