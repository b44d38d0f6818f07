"""What one partition remembers of its errors: repeats, message templates, fingerprints, recent errors.

`app.flow.Flow.absorb` asks it to recognise the errors of a Batch; its state goes into the partition's
checkpoint beside that of `features.memory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from app.recent import Recent
from features.classify import classify_event
from features.event import ErrorEvent, ErrorRecord
from features.fingerprint import Templates
from features.repeats import Repeats, RepeatsState
from features.rules import Rules

__all__ = ["PartitionErrors"]

_BATCH_S = 3600
_FAILURE_S = 900  # guessed: exporters of one process differ by seconds, retries by minutes
_MAX_TENANTS = 200  # guessed: tenants of a partition whose message templates are kept

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PartitionErrors:
    """Error state of one partition.

    Parameters
    ----------
    rules : Rules
        How errors are classified.
    tick_s : int
        Seconds of a tick.
    """

    def __init__(self, rules: Rules, tick_s: int = 60) -> None:
        self.rules = rules
        self.repeats = Repeats(max(_BATCH_S // tick_s, 1), max(_FAILURE_S // tick_s, 1))
        self.recent = Recent()
        self._templates: dict[str, Templates] = {}
        self._newest: tuple[str, Templates] | None = None  # the last of them: a request's errors are one tenant's
        self._received = 0, _EPOCH

    def event(self, tenant: str, record: ErrorRecord, received_ns: int) -> tuple[ErrorEvent, bool]:
        """Classify a record and return its event and whether its fingerprint is new to the service."""
        newest = self._newest
        event = classify_event(
            record,
            tenant=tenant,
            time=_at(record.time_ns),
            received_at=self._received_at(received_ns),
            rules=self.rules,
            templates=newest[1] if newest is not None and newest[0] == tenant else self._templates_of(tenant),
        )
        return event, self.recent.add(event)

    def _received_at(self, received_ns: int) -> datetime:
        if received_ns != self._received[0]:  # one for all errors of a request
            self._received = received_ns, _at(received_ns)
        return self._received[1]

    def _templates_of(self, tenant: str) -> Templates:
        """Return a tenant's templates; the tenant that was quiet for longest makes room."""
        templates = self._templates.pop(tenant, None)
        if templates is None:
            templates = Templates()
        self._templates[tenant] = templates
        if len(self._templates) > _MAX_TENANTS:
            del self._templates[next(iter(self._templates))]
        self._newest = tenant, templates
        return templates

    def forget(self, tick: int) -> None:
        """Let go of what is too old to be recognised as a repeat at a tick, and of recent errors beyond their bounds."""
        self.repeats.forget(tick)
        self.recent.cut()

    def snapshot(self, *, without: str | None = None) -> dict[str, bytes]:
        """Return the state as values by name, that of one tenant left out."""
        encode, recent = msgspec.msgpack.encode, self.recent.snapshot()
        return {
            "errors/repeats": encode(self.repeats.snapshot()),
            "errors/templates": encode({tenant: t.snapshot() for tenant, t in self._templates.items() if tenant != without}),
            "errors/recent": encode({key: value for key, value in recent.items() if key.partition("\0")[0] != without}),
        }

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Put a snapshot back; without one the partition is new."""
        if "errors/repeats" not in state:
            return
        decode = msgspec.msgpack.Decoder
        self.repeats.restore(decode(RepeatsState).decode(state["errors/repeats"]))
        templates = decode(dict[str, bytes]).decode(state["errors/templates"])
        self._newest = None
        self._templates = {tenant: Templates.restore(data) for tenant, data in templates.items()}
        self.recent.restore(decode(dict[str, bytes]).decode(state["errors/recent"]))


def _at(time_ns: int) -> datetime:
    seconds, rest = divmod(time_ns, 10**9)
    return _EPOCH + timedelta(0, seconds, rest // 1000)
