"""Where one request is counted: the readers of spans, log records and metrics add to a Tally, and it ends as a Batch.

Every table of the Batch is in the order in which its rows first appear, walking resources, scopes and records as
sent: series by their first group, services by their first kept span end, calls by their first span. Floats
are added in the order of the records. So two engines that do the same make the same Batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from app.ingest.attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACK,
    EXCEPTION_TYPE,
    RESOURCE_KEPT,
    by_importance,
    merge,
    text,
)
from app.ingest.ids import Ids
from app.ingest.limits import Limits
from app.ingest.rows import SpanRows
from app.ingest.shapes import AnyValue, KeyValue, Resource
from app.ingest.traffic import Traffic
from features.batch import Batch, Call, DurationPoint, Level, Presence
from features.event import ErrorRecord

__all__ = ["Source", "Tally", "refusal"]

_RESOURCE_READ = RESOURCE_KEPT | {"service.name"}


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent a record.

    Parameters
    ----------
    service : str
        The ``service.name``, or ``unknown_service``.
    kept : dict of str to AnyValue
        What an error keeps of the resource's attributes, each as long as a name may be.
    """

    service: str
    kept: dict[str, AnyValue]


class Tally:
    """The sums of one request.

    Parameters
    ----------
    signal : str
        The OTLP signal.
    limits : Limits
        Bounds.
    from_hex : bool
        Whether ids come as hexadecimal text.
    """

    def __init__(self, signal: str, limits: Limits, *, from_hex: bool) -> None:
        self.counters: Counter[str] = Counter()
        self.traffic = Traffic(limits, self.counters)
        self.ids = Ids(self.counters, from_hex=from_hex)
        self.rows = SpanRows(self.ids)
        self.limits = limits
        self._signal = signal
        self._n_records = 0
        self._rejected = 0
        self._errors: list[ErrorRecord] = []
        self._levels: dict[tuple[str, str, int], Level] = {}
        self._calls: dict[tuple[str, str], list[float]] = {}
        self._presences: dict[Presence, None] = {}
        self._durations: list[DurationPoint] = []

    def source(self, resource: Resource | None) -> Source:
        """Return who a resource is, and note that it spoke."""
        sent = (resource.attributes if resource is not None else None) or ()
        values = {attribute.key: attribute.value for attribute in sent if attribute.key in _RESOURCE_READ}
        attributes = {key: self.text(value, self.limits.max_name_chars) for key, value in values.items()}
        service = self.name(attributes.get("service.name") or "unknown_service")
        instance = attributes.get("service.instance.id") or attributes.get("k8s.pod.name") or attributes.get("host.name", "")
        presence = Presence(service, self.name(instance), self.name(attributes.get("service.version", "")))
        if len(self._presences) < self.limits.max_rows:
            self._presences[presence] = None
        elif presence not in self._presences:
            self.counters["presences_dropped"] += 1
        # Each error takes a copy of what is kept: 1,000 errors of 4,096 characters six times would be 24 MB of one resource.
        kept = {key: AnyValue(string_value=self.name(value)) for key, value in attributes.items() if key in RESOURCE_KEPT}
        return Source(service, kept)

    def accept(self, count: int) -> None:
        """Count accepted records."""
        self._n_records += count

    def refuse(self, count: int = 1) -> None:
        """Count records that no row was left for."""
        self._rejected += count

    def name(self, value: str) -> str:
        """Return a name within its bound."""
        if len(value) > self.limits.max_name_chars:
            self.counters["names_cut"] += 1
            return value[: self.limits.max_name_chars]
        return value

    def room_for_error(self) -> bool:
        """Return whether one more error may be looked into; count it if not."""
        if len(self._errors) < self.limits.max_errors_per_request:
            return True
        self.counters["errors_not_decoded"] += 1
        return False

    def text(self, value: AnyValue | None, max_chars: int) -> str:
        """Return the text of a value, of a structure as deep and long as it is shown; what is left out is counted."""
        found, left_out = text(value, self.limits.max_attribute_depth, max_chars)
        if left_out:
            self.counters["attributes_deep"] += 1
        return found

    def attributes(self, source: Source, *parts: Iterable[KeyValue] | None) -> dict[str, AnyValue | None]:
        """Return the attributes of an error: those of its resource, and of the parts of its record, the last to say more."""
        found: dict[str, AnyValue | None] = {**source.kept}
        self.counters["attributes_dropped"] += sum(merge(found, part) for part in parts)
        return found

    def error(self, record: ErrorRecord, attributes: dict[str, AnyValue | None]) -> None:
        """Keep an error: what its exception says apart, the most telling attributes first, and all within its bounds.

        Parameters
        ----------
        record : ErrorRecord
            Without attributes; its message stands where the exception has none.
        attributes : dict of str to AnyValue
            As `attributes` returns them; what the exception says is taken out.
        """
        max_chars = self.limits.max_attribute_chars
        exception_type = self.text(attributes.pop(EXCEPTION_TYPE, None), self.limits.max_name_chars)
        message = self.text(attributes.pop(EXCEPTION_MESSAGE, None), max_chars)
        stack = self.text(attributes.pop(EXCEPTION_STACK, None), max_chars)
        n_most = self.limits.max_attributes
        if len(attributes) > n_most:
            self.counters["attributes_dropped"] += len(attributes) - n_most
        bounded = ErrorRecord(
            record.source,
            record.service,
            record.operation,
            record.time_ns,
            record.severity,
            record.trace_id,
            record.span_id,
            self.name(exception_type),
            self._cut(message or record.message),
            self._cut(stack),
            {self.name(key): self._cut(self.text(value, max_chars)) for key, value in by_importance(attributes)[:n_most]},
            record.weight,
        )
        self._errors.append(bounded)

    def _cut(self, value: str) -> str:
        if len(value) > self.limits.max_attribute_chars:
            self.counters["attributes_cut"] += 1
            return value[: self.limits.max_attribute_chars]
        return value

    def call(self, caller: str, callee: str, weight: float, *, failed: bool) -> None:
        """Count a call to a peer that the caller named, and whether it failed."""
        key = (caller, self.name(callee))
        if key not in self._calls and len(self._calls) >= self.limits.max_rows:
            self.counters["calls_dropped"] += 1
            return
        count = self._calls.setdefault(key, [0.0, 0.0])
        count[0] += weight
        if failed:
            count[1] += weight

    def level(self, level: Level) -> bool:
        """Keep a level unless a larger one of its service, name and tick is there; return whether there was room."""
        key = (level.service, level.name, level.time_ns // (self.limits.tick_s * 10**9))
        known = self._levels.get(key)
        if known is None and len(self._levels) >= self.limits.max_rows:
            return False
        if known is None or level.value > known.value:
            self._levels[key] = level
        return True

    def duration(self, point: DurationPoint) -> None:
        """Keep a point of a service's own measurement, while there is room."""
        if len(self._durations) < self.limits.max_rows:
            self._durations.append(point)
        else:
            self.counters["durations_dropped"] += 1

    def batch(self) -> Batch:
        """Return what was counted."""
        series, group_series, group_time_s = self.traffic.series()
        spans = self.rows.columns()
        ends = self.rows.ends(spans, self.limits.span_end_sample)
        return Batch(
            signal=self._signal,
            n_records=self._n_records + len(self.rows.places),
            series=series,
            group_series=group_series,
            group_time_s=group_time_s,
            counts=self.traffic.counts(spans),
            histogram=self.traffic.histogram(spans),
            errors=tuple(self._errors),
            levels=tuple(self._levels.values()),
            calls=tuple(Call(caller, callee, *count) for (caller, callee), count in self._calls.items()),
            end_trace=ends.trace,
            end_span=ends.span,
            end_service=ends.service,
            end_role=ends.role,
            services=ends.services,
            presences=tuple(self._presences),
            durations=tuple(self._durations),
            counters={name: count for name, count in self.counters.items() if count},
            rejected=self._rejected,
            reason=refusal(self._rejected, self.limits),
        )


def refusal(rejected: int, limits: Limits) -> str:
    """Return why records were refused, empty when none were.

    Examples
    --------
    >>> refusal(0, Limits())
    ''
    """
    return f"more than {limits.max_rows} rows of services, operations, metrics and windows in one request" if rejected else ""
