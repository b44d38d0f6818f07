"""The line on one screen: what a Batch says is absorbed, a tick is forecast, a closed horizon is settled.

`app.worker` calls it for what it reads from the log, and commits what it returns. Nothing here knows a
socket, a disk or a clock: time comes from the log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import prometheus_client

from app.absorb import PartitionErrors
from app.anomalies import SeriesAnomalies
from app.cache.records import NOTHING, IncidentRecord, Known
from app.champion import Champion
from app.chronicle import Chronicle, Forecasts
from app.foretold import UNKNOWN, Before
from app.history.tables import BOUNDS
from app.home import everywhere
from app.ingest.codec import BatchMessage
from app.learners import Learners
from app.learning import learning_documents
from app.publish import Publication, Publisher
from app.renewal import renewed
from app.store.contract import Output
from app.summaries import summary_output
from app.symptom_documents import SymptomDocuments
from app.telemetry import Telemetry
from app.trends import SeriesTrends
from features.afar import Afar, Summary
from features.arrays import Float32Array
from features.clock import Clock, place
from features.event import ErrorRecord
from features.extract import extract
from features.facts import leading_category
from features.incident import Incident, Standing
from features.memory import Memory, MemoryPlan
from features.rings import Columns
from features.rules import Rules
from features.series import WHOLE, SeriesKey
from features.snapshot import restore, snapshot
from features.summary import summarise
from models.hazard import cumulate
from training.dataset import WARM_TICKS

__all__ = ["Flow", "FlowPlan"]

_STALE_TICKS = 60


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """What a Flow needs to know.

    Parameters
    ----------
    memory : MemoryPlan
        Windows, series and the incident rule.
    rules : Rules
        How errors are classified.
    explain_series : int
        Series explained every tick, riskiest first.
    tells_past : bool
        Whether documents of old ticks are made too, of those around incidents: where a past is replayed that nobody saw.
    """

    memory: MemoryPlan = field(default_factory=MemoryPlan)
    rules: Rules = field(default_factory=Rules)
    explain_series: int = 200
    tells_past: bool = False


class Flow:
    """The state of the line of one process, and the three ways through it.

    Parameters
    ----------
    plan : FlowPlan
        Sizes and rules.
    telemetry : Telemetry
        Where it counts.
    home : callable
        Whether this node is a tenant's home, see `app.home`.
    """

    def __init__(self, plan: FlowPlan, telemetry: Telemetry, home: Callable[[str], bool] = everywhere) -> None:
        self.plan = plan
        self.telemetry = telemetry
        self.home = home
        self.clock = Clock(plan.memory.tick_s)
        self.memory = Memory(plan.memory)
        self.errors: dict[int, PartitionErrors] = {}
        self.learners = Learners(self.memory, telemetry)
        self.anomalies = SeriesAnomalies(plan.memory.tick_s)
        self.trends = SeriesTrends(plan.memory.tick_s)
        self.symptoms = SymptomDocuments(telemetry)
        self.chronicle = Chronicle()
        self.publisher = Publisher(plan.explain_series, plan.memory.rule.m)
        self._by_category: dict[str, prometheus_client.Counter] = {}
        self._open: dict[int, Incident] = {}
        self._predicted: dict[str, Before] = {}  # at the start of open incidents, by their id
        self._latest: Publication | None = None
        self._shares = False  # whether other nodes hold partitions, and want summaries of these

    def absorb(self, partition: int, message: BatchMessage) -> None:
        """Take in one Batch: once, at a possible time, each failure once."""
        errors = self.errors_of(partition)
        tick = self.clock.tick(message.received_at_ns)
        self.memory.begin(tick)
        if errors.repeats.batch(message.batch_id, tick):
            self.telemetry.repeated_batches.inc()
            return
        batch, moved = place(message.batch, message.received_at_ns, self.clock)
        directory = self.memory.directory
        folded, refused = directory.folded, directory.refused
        late = self.memory.add(message.tenant, partition, batch)
        self._limit("series_folded", directory.folded - folded)
        self._limit("series_refused", directory.refused - refused)
        self._limit("misdated", moved)
        if late:
            self.telemetry.late.inc(late)
        if batch.errors:
            self._absorb_errors(partition, message, batch.errors)

    def _absorb_errors(self, partition: int, message: BatchMessage, records: Iterable[ErrorRecord]) -> None:
        """Classify the errors of a Batch, once for each failure, and count them."""
        memory, errors, tenant = self.memory, self.errors_of(partition), message.tenant
        tick, received_ns = self.clock.tick(message.received_at_ns), message.received_at_ns
        refused = repeated = 0
        service, row = None, -1
        counts: dict[str, int] = {}
        for record in records:
            if record.service != service:  # a request's errors of a partition are mostly one service's
                service, row = record.service, memory.row(tenant, record.service, WHOLE, partition)
            if row < 0:
                refused += 1
            elif errors.repeats.failure(tenant, record, tick):
                memory.take_back_error(tenant, record)
                repeated += 1
            else:
                event, novel = errors.event(tenant, record, received_ns)
                memory.add_error(row, record, event.category, event.fingerprint if novel else None, event.fingerprint)
                counts[event.category] = counts.get(event.category, 0) + 1
                self.chronicle.add_error(partition, event)
        self._limit("series_refused", refused)
        if repeated:
            self.telemetry.repeated_errors.inc(repeated)
        for category, count in counts.items():
            if category not in self._by_category:
                self._by_category[category] = self.telemetry.errors.labels(category=category)
            self._by_category[category].inc(count)

    def _limit(self, reason: str, count: int) -> None:
        if count:
            self.telemetry.limited.labels(reason=reason).inc(count)

    def hear(self, summaries: Sequence[Summary] | None) -> None:
        """Take in the newest summaries of partitions that other nodes hold; None where there is no other node."""
        memory, self._shares = self.memory, summaries is not None
        memory.afar = Afar(summaries or (), memory.tick)
        self.telemetry.services_afar.set(len(memory.afar.services))
        ages = [max(memory.tick - summary.tick, 0) for summary in summaries or ()]
        self.telemetry.summaries_age.set(max(ages, default=0) * self.plan.memory.tick_s)

    def forecast(
        self, tick: int, offsets: Mapping[int, int], known: Sequence[Known] = (), *, publish: bool
    ) -> dict[int, list[Output]]:
        """Close every window before `tick` and forecast all series in one batch.

        Parameters
        ----------
        tick : int
            Number of the window that opens.
        offsets : Mapping of int to int
            Offset of the tick's marker in each partition that is owned.
        known : sequence of Known
            What is known of every series besides its data; nothing without.
        publish : bool
            Whether documents are made: not while old ticks are caught up with, whose predictions would be
            expired when they were read, but for those that `FlowPlan.tells_past` asks for.

        Returns
        -------
        dict of int to list of Output
            Documents by partition.
        """
        closed = self.memory.advance(tick)
        for reason, count in closed.limited.items():
            self._limit(reason, count)
        incidents = self._incidents(closed.standing, tick)
        self.anomalies.advance(self.memory)
        self.trends.advance(self.memory)
        x = extract(self.memory)
        self.settle(tick, closed.standing)
        p = cumulate(self.learners.hazards(x, tick))
        status = self._status()
        versions = [self.learners.of(key.tenant).version for key in self.memory.directory.keys]
        forecasts = Forecasts(p, status, versions, self._ids(offsets))
        self.publisher.remember(tick, p)
        self.chronicle.add_closed(self.memory, closed, offsets)
        self.chronicle.add_errors(offsets)
        bounds = {signal: self.anomalies.bounds(signal) for signal in BOUNDS}
        self.chronicle.add_forecasts(self.memory, forecasts, bounds, offsets)
        self.chronicle.add_incidents(incidents, self.memory, offsets)
        for errors in self.errors.values():
            errors.forget(tick)
        self._count(status, incidents)
        self._latest = self._publication(x, forecasts, known or [NOTHING] * len(x))
        outputs = _by_partition(self.publisher.incidents(self.memory, incidents, self._predicted))
        self._predicted = {incident.id: self._predicted.get(incident.id, UNKNOWN) for incident in self._open.values()}
        documents: Mapping[int, list[Output]] = {}
        if publish:
            documents = self.publish()
        elif self.plan.tells_past and self.symptoms.due(self.memory):
            documents = _by_partition(self._seen())
        for partition, made in documents.items():
            outputs.setdefault(partition, []).extend(made)
        return outputs

    def publish(self) -> dict[int, list[Output]]:
        """Return the documents of the newest tick by partition; nothing before the first."""
        if self._latest is None:
            return {}
        outputs = self.publisher.predictions(self._latest) + self._seen()
        outputs += self.trends.outputs(self.memory, self._latest.forecasts.status)
        if self._shares:
            outputs += [summary_output(summary, self.plan.memory.tick_s) for summary in summarise(self.memory)]
        return _by_partition(outputs + learning_documents(self.learners, self.home))

    def _seen(self) -> list[tuple[int, Output]]:
        """Return the documents of what was seen, by which incidents are put together."""
        return self.publisher.services(self.memory) + self.publisher.errors(self.errors) + self.symptoms.outputs(self.memory)

    def renew(self, known: Sequence[Known]) -> dict[int, list[Output]]:
        """Forecast anew, between two ticks, the series of which something came since: another model, or feedback.

        Parameters
        ----------
        known : sequence of Known
            What is known of every series by now.

        Returns
        -------
        dict of int to list of Output
            Documents of these series by partition.
        """
        if self._latest is None:
            return {}
        new = renewed(self._latest, known, self._status())
        self._latest = replace(new, rows=self._latest.rows)
        return _by_partition(self.publisher.predictions(new)) if len(new.rows) else {}

    def _publication(self, x: Float32Array, forecasts: Forecasts, known: Sequence[Known]) -> Publication:
        memory, scores = self.memory, self.anomalies.scores(self.memory.tick)
        parts = memory, x, forecasts, self.learners.members, self.errors, scores, known
        return Publication(*parts, tenant_of=memory.pools().tenant, rows=np.arange(len(x)))

    def settle(self, tick: int, standing: Standing) -> None:
        """Join forecasts whose horizon has closed with what happened, and learn from them once."""
        self.learners.settle(tick, standing)

    def promote(self, tenant: str, champion: Champion) -> None:
        """Put a new champion in between two ticks."""
        self.learners.of(tenant).promote(champion)

    def errors_of(self, partition: int) -> PartitionErrors:
        """Return the error state of a partition."""
        if partition not in self.errors:
            self.errors[partition] = PartitionErrors(self.plan.rules, self.plan.memory.tick_s)
        return self.errors[partition]

    def snapshot(self, partition: int, *, without: str | None = None) -> dict[str, bytes]:
        """Return the state of a partition between two ticks, that of one tenant left out."""
        keys = self.memory.directory.keys
        mine = {row: i for row, i in self._open.items() if self.memory.directory.partition[row] == partition}
        standing = [(*_parts(keys[row]), *_standing(i, self._predicted.get(i.id, UNKNOWN))) for row, i in sorted(mine.items())]
        standing = [each for each in standing if each[0] != without]
        state = snapshot(self.memory, partition, self._beside(), without=without)
        state |= self.errors_of(partition).snapshot(without=without)
        return state | {"flow/open": json.dumps(standing).encode()}

    def _beside(self) -> dict[str, Columns]:
        """Return what is kept of rows beside the Memory."""
        return {**self.anomalies.parts(), **self.trends.parts()}

    def restore(self, partition: int, state: Mapping[str, bytes]) -> None:
        """Put the state of a partition back; what was forecast before knows nothing of its series and is published no more."""
        self._latest = None
        restore(self.memory, partition, state, self._beside())
        self.errors_of(partition).restore(state)
        for entry in json.loads(state.get("flow/open", b"[]")):
            row = self.memory.directory.find(*entry[:3])
            if row is not None:
                start_s, detected_s, category, *told = entry[3:]
                incident = Incident.at(self.memory.directory.keys[row], start_s, detected_s, None, category)
                self._open[row] = incident
                self._predicted[incident.id] = Before.restored(*told)

    def recall(self, incidents: Iterable[IncidentRecord], partitions: Iterable[int]) -> None:
        """Remember the categories of past incidents of some partitions, after these are restored."""
        self.publisher.recall(self.memory, incidents, frozenset(partitions))

    def _ids(self, offsets: Mapping[int, int]) -> list[str]:
        """Return an id a row: partition, offset of the marker, and the row's place within its partition."""
        places: Counter[int] = Counter()
        ids: list[str] = []
        for partition in self.memory.directory.partition.tolist():
            ids.append(f"{partition}-{offsets[partition]}-{places[partition]}")
            places[partition] += 1
        return ids

    def _status(self) -> list[str]:
        memory = self.memory
        known = memory.rhythm.windows_seen()
        with_model = np.array([self.learners.of(key.tenant).champion is not None for key in memory.directory.keys], bool)
        status = np.where(with_model, "ok", "prior").astype("U12")
        status[memory.last_data() >= _STALE_TICKS] = "stale"
        status[known < WARM_TICKS] = "warming_up"
        status[memory.onsets.in_incident()] = "in_incident"
        names = {name: name for name in np.unique(status).tolist()}  # one text each, not one a row
        return [names[name] for name in status.tolist()]

    def _incidents(self, standing: Standing, tick: int) -> list[tuple[int, Incident]]:
        """Return the incidents (row, incident) that began or ended at this tick."""
        memory, tick_s, changed = self.memory, self.plan.memory.tick_s, list[tuple[int, Incident]]()
        for row in np.flatnonzero(standing.ended).tolist():
            incident = self._open.pop(row, None)
            if incident is not None:
                end = self.clock.at((tick - self.plan.memory.rule.m) * tick_s)
                changed.append((row, replace(incident, end=max(end, incident.start))))
        for row in np.flatnonzero(standing.began).tolist():
            category = leading_category(memory.facts.categories(self.plan.memory.rule.m)[memory.directory.whole[row]])
            start_s = int(standing.open_since[row]) * tick_s
            self._open[row] = Incident.at(memory.directory.keys[row], start_s, tick * tick_s, None, category)
            self._predicted[self._open[row].id] = self.publisher.predicted(row, int(standing.open_since[row]))
            changed.append((row, self._open[row]))
        return changed

    def _count(self, status: Iterable[str], incidents: list[tuple[int, Incident]]) -> None:
        names, counts = np.unique(np.array(list(status), "U12"), return_counts=True)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True):
            self.telemetry.predictions.labels(status=name).inc(count)
        self.telemetry.incidents.inc(sum(incident.end is None for _, incident in incidents))
        self.telemetry.series.set(len(self.memory.directory))
        self.telemetry.as_of.set(self.memory.tick * self.plan.memory.tick_s)


def _parts(key: SeriesKey) -> tuple[str, str, str]:
    return key.tenant, key.service, key.operation


def _standing(incident: Incident, before: Before) -> tuple[object, ...]:
    """Return what is kept of an open incident beside its series."""
    start_s, detected_s = int(incident.start.timestamp()), int(incident.detected_at.timestamp())
    return start_s, detected_s, incident.category, before.at_start, before.earlier


def _by_partition(outputs: Iterable[tuple[int, Output]]) -> dict[int, list[Output]]:
    grouped: dict[int, list[Output]] = {}
    for partition, output in outputs:
        grouped.setdefault(partition, []).append(output)
    return grouped
