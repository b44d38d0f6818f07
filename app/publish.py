"""The documents that a tick publishes: predictions with their reasons, services, recent errors, incidents.

`app.flow.forecast` calls it for the newest tick; the worker commits what it returns; the API reads it
from the cache. Every output comes with the partition whose commit carries it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from app.absorb import PartitionErrors
from app.cache.documents import NAME_TTL_S, encode_document, incident_document, prediction_document, prediction_key, tenant_key
from app.cache.records import EarlierForecast, Explanation, GroupContribution, IncidentRecord, Known, ServiceSummary, Trend
from app.chronicle import Forecasts
from app.foretold import UNKNOWN, Before, Foretold
from app.members import Members, subjects_of
from app.store.contract import Output
from features.arrays import Float32Array, FloatArray, IntArray
from features.clock import Clock
from features.evidence import PastIncidents, evidence
from features.extract import SCHEMA
from features.facts import CATEGORIES
from features.incident import Incident
from features.memory import Memory
from features.recovery import advise
from features.series import OTHER, WHOLE
from features.view import View
from models.explain import reasons
from models.hazard import cumulate, from_logits
from models.prediction import HORIZONS, AnomalyScore, Chance, ExpectedCategory, Prediction, Reason
from models.recalibration import Subjects
from models.trend import slope

__all__ = ["Publication", "Publisher"]

_LIFE_TICKS = 3  # ticks after which a prediction is expired; one may be late without alarm
_INCIDENT_TTL_S = 30 * 86_400.0
_PRESENT_TICKS = 15  # ticks of silence after which an instance or version no longer counts as running; guessed
_TREND_TICKS = 30  # windows that a service's error trend is drawn through; guessed
_TOP_CATEGORIES = 3
_TOP_REASONS = 4
_GUESSING = 1.0 + 1e-9  # a little above 1: sums of equal shares differ in their last bits

_Placed = list[tuple[int, Output]]


@dataclass(frozen=True, slots=True, eq=False)
class Publication:
    """One tick's forecasts with everything that is said about them.

    Parameters
    ----------
    memory : Memory
        As of the tick.
    x : Float32Array, shape (n, n_features)
        What was known.
    forecasts : Forecasts
        What follows from it.
    members : Mapping of str to Members
        By tenant.
    errors : Mapping of int to PartitionErrors
        By partition.
    anomalies : Sequence of AnomalyScore
        Of every row's last window.
    known : Sequence of Known
        What was known of every row besides its data.
    tenant_of : IntArray, shape (n,)
        The number of every row's tenant. Series that came up since the tick have no row here.
    rows : IntArray
        Which are published.
    """

    memory: Memory
    x: Float32Array
    forecasts: Forecasts
    members: Mapping[str, Members]
    errors: Mapping[int, PartitionErrors]
    anomalies: Sequence[AnomalyScore]
    known: Sequence[Known]
    tenant_of: IntArray
    rows: IntArray

    def of(self, tenant: str) -> IntArray:
        """Return the rows of a tenant, also those that are not published."""
        return np.flatnonzero(self.tenant_of == self.memory.tenants[tenant])


class Publisher:
    """Makes documents.

    Parameters
    ----------
    explain_series : int
        Series explained every tick, riskiest first, of each tenant.
    kept_ticks : int
        Ticks that an incident's start may lie before its detection.
    """

    def __init__(self, explain_series: int, kept_ticks: int = 60) -> None:
        self.explain_series = explain_series
        self._foretold = Foretold(kept_ticks)
        self.past = PastIncidents()

    def remember(self, tick: int, p: FloatArray) -> None:
        """Keep the probabilities of a tick, so that an incident can say what was predicted at its start and before."""
        self._foretold.remember(tick, p)

    def recall(self, memory: Memory, incidents: Iterable[IncidentRecord], partitions: Container[int]) -> None:
        """Remember the categories of incidents of some partitions; what was detected after the memory's tick will be found again."""
        for incident in incidents:
            row, detected_s = memory.directory.find(incident.tenant, incident.service), int(incident.detected_at.timestamp())
            if row is None or memory.directory.partition[row] not in partitions:
                continue
            if incident.source == "rule" and detected_s <= memory.tick * memory.plan.tick_s:
                self.past.add(row, incident.category, detected_s)

    def predictions(self, publication: Publication) -> _Placed:
        """Return the documents of the rows that are published."""
        memory = publication.memory
        anomalies = publication.anomalies
        shares = {row: part for tenant in memory.tenants for row, part in self._explained(publication, tenant)}
        bounds = _bounds(publication)
        as_of = Clock.at(memory.tick * memory.plan.tick_s)
        expires_at = as_of + timedelta(seconds=_LIFE_TICKS * memory.plan.tick_s)
        categories = self.categories(publication)
        outputs: _Placed = []
        rows: list[int] = publication.rows.tolist()
        for row in rows:
            key, p = memory.directory.keys[row], publication.forecasts.p[row]
            explanation, texts = shares.get(row, (None, ()))
            prediction = Prediction(
                id=publication.forecasts.ids[row],
                series=key,
                as_of=as_of,
                expires_at=expires_at,
                status=publication.forecasts.status[row],
                horizons={
                    name: Chance(float(p[j]), float(bounds[0][row, j]), float(bounds[1][row, j]))
                    for j, name in enumerate(HORIZONS)
                },
                categories=_likeliest(categories[row]),
                reasons=texts,
                anomaly=anomalies[row],
                model_version=publication.forecasts.versions[row],
            )
            value = prediction_document(prediction, explanation, publication.known[row])
            outputs.append(
                (int(memory.directory.partition[row]), Output("predictions", prediction_key(key), value, NAME_TTL_S))
            )
        return outputs

    def categories(self, publication: Publication) -> FloatArray:
        """Return the categories of each row's next incident, if one begins, as its tenant's model tells them, shape (n, 14)."""
        memory, n = publication.memory, len(publication.x)
        services = np.flatnonzero(memory.directory.is_whole[:n])
        counts, tenant = evidence(memory, self.past, services), publication.tenant_of[services]
        told = np.zeros((len(services), len(CATEGORIES)))
        for name, code in memory.tenants.items():
            rows = np.flatnonzero(tenant == code)
            if len(rows):
                told[rows] = publication.members[name].categories.distribution(counts[rows])
        return told[np.searchsorted(services, memory.directory.whole[:n])]

    def services(self, memory: Memory) -> _Placed:
        """Return the summaries of all services."""
        view, last, tick_s = View.of(memory), memory.last_data(), memory.plan.tick_s
        requests, failed = view.sum("total", 5), view.sum("failed", 5)
        trends = _error_trends(view)
        born, lately = memory.facts.columns["born"], memory.tick - _PRESENT_TICKS
        names: dict[int, list[str]] = {}
        for row, key in enumerate(memory.directory.keys):
            if key.operation != WHOLE:
                names.setdefault(int(memory.directory.whole[row]), []).append(key.operation)
        outputs: _Placed = []
        for row in np.flatnonzero(memory.directory.is_whole).tolist():
            key = memory.directory.keys[row]
            summary = ServiceSummary(
                tenant=key.tenant,
                service=key.service,
                operations=tuple(names.get(row, ())),
                first_seen=Clock.at(int(born[row]) * tick_s),
                last_seen=Clock.at((memory.tick - int(last[row])) * tick_s),
                requests_per_minute=float(requests[row] / 5 * 60 / tick_s),
                error_ratio=float(failed[row] / requests[row]) if requests[row] else 0.0,
                versions=tuple(v for v, seen in memory.facts.versions[row].items() if seen >= lately),
                instances=sum(seen >= lately for seen in memory.facts.instances[row].values()),
                operations_folded=OTHER in names.get(row, ()),
                error_trend_per_minute=trends.get(row),
            )
            output = Output("services", tenant_key(key.tenant, key.service), encode_document(summary), NAME_TTL_S)
            outputs.append((int(memory.directory.partition[row]), output))
        return outputs

    def errors(self, errors: Mapping[int, PartitionErrors]) -> _Placed:
        """Return the recent errors of the services where they changed."""
        return [
            (partition, Output("errors", tenant_key(*key), value, NAME_TTL_S))
            for partition, part in errors.items()
            for key, value in part.recent.take_changed().items()
        ]

    def predicted(self, row: int, tick: int) -> Before:
        """Return what was predicted of a row as of a tick and before."""
        return self._foretold.before(row, tick)

    def incidents(self, memory: Memory, incidents: Iterable[tuple[int, Incident]], predicted: Mapping[str, Before]) -> _Placed:
        """Return the documents of incidents (row, incident) that began or ended, with what was predicted by incident id."""
        outputs: _Placed = []
        for row, incident in incidents:
            if incident.end is None:
                self.past.add(int(memory.directory.whole[row]), incident.category, int(incident.detected_at.timestamp()))
            key, before = tenant_key(incident.series.tenant, incident.id), predicted.get(incident.id, UNKNOWN)
            earlier = tuple(EarlierForecast(Clock.at(tick * memory.plan.tick_s), p) for tick, p in before.earlier)
            value = incident_document(incident, before.at_start, earlier)
            outputs.append((int(memory.directory.partition[row]), Output("incidents", key, value, _INCIDENT_TTL_S)))
        return outputs

    def _explained(self, publication: Publication, tenant: str) -> list[tuple[int, tuple[Explanation, tuple[Reason, ...]]]]:
        """Return explanations of those of the tenant's riskiest rows that are published."""
        rows = publication.of(tenant)
        chosen = rows[np.argsort(-publication.forecasts.p[rows, -1], kind="stable")[: self.explain_series]]
        chosen = chosen[np.isin(chosen, publication.rows)]
        if not len(chosen):
            return []
        memory, members = publication.memory, publication.members[tenant]
        x, background = publication.x[chosen], members.background(publication.x[rows])
        shares = members.shares(x, background, subjects_of(members, memory, chosen))
        base = float(from_logits(members.logit60(background[None], Subjects.nobody(1, len(HORIZONS))))[0])
        said = {name: cumulate(h)[:, -1] for name, h in members.hazards(x).items()}
        weights = {name: float(w.mean()) for name, w in members.blend.weights.items()}
        found: list[tuple[int, tuple[Explanation, tuple[Reason, ...]]]] = []
        for i, row in enumerate(chosen.tolist()):
            texts = reasons(shares[i], x[i], SCHEMA, top=len(SCHEMA.groups))
            explanation = Explanation(
                groups=_groups(texts, x[i]),
                background_probability=base,
                advice=tuple(advise(kind) for kind in _kinds(publication, row)),
                members={name: float(p[i]) for name, p in said.items()},
                weights=weights,
            )
            found.append((row, (explanation, texts[:_TOP_REASONS])))
        return found


def _error_trends(view: View) -> dict[int, Trend]:
    """Return where the errors of each service are going, by row; a service younger than the line says nothing yet."""
    memory = view.memory
    old = memory.tick - memory.facts.columns["born"] >= _TREND_TICKS
    rows = np.flatnonzero(memory.directory.is_whole & old)
    per_minute = 60 / memory.plan.tick_s
    lines = slope(view.counts("errors")[rows, -_TREND_TICKS:] * per_minute)
    columns = np.stack([line * per_minute for line in lines], axis=1)
    return {row: Trend(*column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)}


def _kinds(publication: Publication, row: int) -> tuple[str, ...]:
    """Return the kinds of error that the row's service showed last."""
    key, partition = publication.memory.directory.keys[row], int(publication.memory.directory.partition[row])
    errors = publication.errors.get(partition)
    return errors.recent.kinds(key.tenant, key.service) if errors else ()


def _bounds(publication: Publication) -> tuple[FloatArray, FloatArray]:
    p = publication.forecasts.p
    lower, upper = np.zeros_like(p), np.ones_like(p)
    for tenant in publication.memory.tenants:
        rows = publication.of(tenant)
        if len(rows):
            lower[rows], upper[rows] = publication.members[tenant].bounds(p[rows])
    return np.minimum(lower, p), np.maximum(upper, p)


def _likeliest(p: FloatArray) -> tuple[ExpectedCategory, ...]:
    """Return the likeliest categories; none that is not likelier than by guessing among all."""
    order = np.argsort(-p, kind="stable")[:_TOP_CATEGORIES].tolist()
    return tuple(ExpectedCategory(CATEGORIES[i], float(p[i])) for i in order if p[i] * len(CATEGORIES) > _GUESSING)


def _groups(texts: Sequence[Reason], row: Float32Array) -> tuple[GroupContribution, ...]:
    """Return every group that contributes with the values behind it."""
    values = row.tolist()
    return tuple(
        GroupContribution(
            reason.group,
            reason.contribution,
            reason.text,
            {SCHEMA.names[c]: values[c] for c in SCHEMA.columns(reason.group)},
        )
        for reason in texts
    )
