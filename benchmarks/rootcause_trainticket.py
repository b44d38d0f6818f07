"""TrainTicket replayed through the line with event time as the clock: what was raised after each fault, and who was blamed.

`benchmarks/rootcause.py` calls it. Lines are decoded, cut by partition, absorbed and closed minute by minute as `foreshock replay` does
it, without a disk in between; at each tick symptoms are looked for and causes ranked as the product does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage, unpack
from app.ingest.otlp import decode
from app.ingest.receive import messages_of
from app.ingest.signals import Signal
from app.replay import merged
from app.telemetry import Telemetry
from features.batch import channel
from features.causes import continued, rank
from features.edges import edges_of
from features.shown import remembered
from features.symptom import Edge, Symptoms
from features.symptoms import symptoms_of

__all__ = ["AFTER_TICKS", "Fault", "Seen", "faults_of", "replayed"]

TICK_S = 60
N_PARTITIONS = 8
AFTER_TICKS = 4
"""Ticks after a fault that are looked at: spans and logs of most faults end there."""

RAISED_BITS = 10.0
"""Bits from which a symptom alone counts as raised. Guessed: two bits above what is shown at all."""

_LONGEST_PAUSE = 120  # ticks, as in `app.replay`
_BEFORE = 1  # windows: the times of faults are those of the command that injects them; 09:58:04 shows from 09:57 on
_QUIET_MINUTES = 3  # that a stretch goes on before its fault at most
_ERRORS = channel("errors")


@dataclass(frozen=True, slots=True)
class Fault:
    """An injected fault.

    Parameters
    ----------
    time_s : int
        Unix second.
    service, kind : str
        Where and what.
    """

    time_s: int
    service: str
    kind: str

    @property
    def window(self) -> int:
        """Number of the minute in which it was injected."""
        return self.time_s // TICK_S


@dataclass(slots=True)
class Seen:
    """What was seen of a fault at the ticks after it, by the minutes since that of the fault.

    Parameters
    ----------
    raised : dict of int to set of str
        What was raised for the first time since the fault: ``incident``, ``anomaly``, ``symptom``.
    shown : dict of int to (list of Symptoms, list of Edge)
        What causes are ranked by.
    noisiest : dict of int to list of str
        Services with errors since the fault, those with most first.
    """

    fault: Fault
    raised: dict[int, set[str]] = field(default_factory=dict[int, set[str]])
    shown: dict[int, tuple[list[Symptoms], list[Edge]]] = field(default_factory=dict[int, tuple[list[Symptoms], list[Edge]]])
    noisiest: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def detected(self, by: Iterable[str]) -> int | None:
        """Return the minutes after that of the fault at whose end something was raised, None for never."""
        return min((after for after, kinds in self.raised.items() if kinds & set(by)), default=None)

    def ranked(self, since: int, after: int) -> list[str]:
        """Return services, the likeliest cause first, by what was shown from one tick to another, as the account of a group has it."""
        evidence: list[Symptoms] = []
        for tick in range(since, after + 1):
            evidence = remembered(evidence, self.shown[tick][0] if tick in self.shown else ())
        return [cause.service for cause in rank(evidence, self.shown[after][1])] if after in self.shown else []

    def delay_s(self, by: Iterable[str]) -> int | None:
        """Return the seconds from the fault to the tick at which something was raised."""
        after = self.detected(by)
        return None if after is None else (self.fault.window + after) * TICK_S - self.fault.time_s


def faults_of(folder: Path) -> list[Fault]:
    """Return the faults by time."""
    told: list[dict[str, str]] = json.loads((folder / "faults.json").read_text())
    return [Fault(int(datetime.fromisoformat(one["time"]).timestamp()), one["service"], one["type"]) for one in told]


def replayed(folder: Path) -> tuple[list[Seen], int, int]:
    """Replay the recording.

    Returns
    -------
    seen : list of Seen
        By fault.
    quiet, alarms : int
        Minutes with telemetry before the faults of their stretch, and those of them at whose end something was raised.
    """
    seen = [Seen(fault) for fault in faults_of(folder)]
    before: list[Symptoms] = []
    quiet = alarms = 0
    for tick, flow in _ticks(folder):
        now = continued(before, symptoms_of(flow.memory))
        before = now
        due = [one for one in seen if 1 <= tick - one.fault.window <= AFTER_TICKS]
        for one in due:
            _note(one, tick, flow, now)
        if not due and any(0 <= one.fault.window - tick < _QUIET_MINUTES for one in seen):
            quiet += 1
            alarms += bool(_raised(flow, now, tick - 1))
    return seen, quiet, alarms


def _ticks(folder: Path) -> Iterator[tuple[int, Flow]]:
    """Yield every tick of the recording once it is forecast, but of pauses only the ends."""
    flow, now_ns, tick = Flow(FlowPlan(), Telemetry()), 0, 0
    for line in merged(sorted(folder.glob("*.jsonl.gz"))):
        now_ns = max(now_ns, line.time_ns)
        newest = now_ns // 10**9 // TICK_S
        for closed in _closed(tick, newest):
            flow.memory.begin(closed - 1)
            flow.forecast(closed, dict.fromkeys(range(N_PARTITIONS), closed), publish=False)
            yield closed, flow
        tick = max(tick, newest)
        batch = decode(line.body, cast("Signal", line.signal), "json")
        for partition, _, data in messages_of(batch, "default", line.body, now_ns, N_PARTITIONS):
            message = unpack(data)
            if isinstance(message, BatchMessage):
                flow.absorb(partition, message)
    flow.forecast(tick + 1, dict.fromkeys(range(N_PARTITIONS), tick + 1), publish=False)
    yield tick + 1, flow


def _closed(before: int, tick: int) -> Iterable[int]:
    if not before:
        return (tick,) if tick else ()
    return range(before + 1, tick + 1) if tick - before <= _LONGEST_PAUSE else (before + 1, tick)


def _note(one: Seen, tick: int, flow: Flow, now: list[Symptoms]) -> None:
    """Note what is seen of a fault at a tick."""
    after, memory = tick - one.fault.window, flow.memory
    one.raised[after] = _raised(flow, now, one.fault.window - _BEFORE)
    one.shown[after] = now, edges_of(memory)
    errors = memory.windows.channel(_ERRORS)[:, -after:].sum(1)
    counts = Counter({service: int(errors[row]) for (_, service), row in memory.services().items()})
    one.noisiest[after] = [service for service, count in counts.most_common() if count]


def _raised(flow: Flow, now: Iterable[Symptoms], since: int) -> set[str]:
    """Return what the product raises that began in a window or later."""
    onsets, newest = flow.memory.onsets.columns["open_since"], flow.anomalies.newest
    kinds: set[str] = set()
    if (onsets >= since).any():
        kinds.add("incident")
    if newest is not None and ((newest.since >= 0) & (newest.since < flow.memory.tick - since)).any():
        kinds.add("anomaly")
    if any(s.strength >= RAISED_BITS and s.since_s >= since * TICK_S for one in now for s in one.symptoms):
        kinds.add("symptom")
    return kinds
