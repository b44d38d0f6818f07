"""What is known of a tenant at one moment, from the documents of all its services, for the groups of its incidents.

`app.correlation` asks for it; what it holds was published by the workers of all nodes, or said by people over REST.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from app.cache.decoded import Decoded
from app.cache.documents import tenant_key
from app.cache.error_heads import ErrorHeads
from app.cache.group_records import GroupRecord
from app.cache.records import FeedbackRecord, IncidentRecord, ServiceSummary
from app.cache.symptom_records import EdgesRecord, SymptomsRecord
from app.store.contract import Documents
from features.symptom import Edge

__all__ = ["Scene", "Sources"]

_MOST_READ = (
    200  # guessed: services whose errors are read for one look, of those with the newest incidents; each takes up to 2 ms
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A tenant at one moment.

    Parameters
    ----------
    tenant : str
        Whose.
    as_of : datetime
        The newest that any document tells of.
    incidents, groups : mapping
        By id.
    symptoms, services, errors : mapping
        By service; errors of services with an incident that is being looked at, at most 200.
    edges : sequence of Edge
        Who calls whom.
    verdicts : mapping of str to sequence of FeedbackRecord
        What people said of an incident and did not take back, by its id, the oldest first.
    """

    tenant: str
    as_of: datetime = _LONG_AGO
    incidents: Mapping[str, IncidentRecord] = field(default_factory=dict[str, IncidentRecord])
    groups: Mapping[str, GroupRecord] = field(default_factory=dict[str, GroupRecord])
    symptoms: Mapping[str, SymptomsRecord] = field(default_factory=dict[str, SymptomsRecord])
    services: Mapping[str, ServiceSummary] = field(default_factory=dict[str, ServiceSummary])
    errors: Mapping[str, ErrorHeads] = field(default_factory=dict[str, ErrorHeads])
    edges: Sequence[Edge] = ()
    verdicts: Mapping[str, Sequence[FeedbackRecord]] = field(default_factory=dict[str, "Sequence[FeedbackRecord]"])

    def symptoms_now(self) -> dict[str, SymptomsRecord]:
        """Return the symptoms of services that show any."""
        return {name: record for name, record in self.symptoms.items() if record.symptoms}


class Sources:
    """Watches of the buckets that a scene is made of.

    Parameters
    ----------
    documents : Documents
        Whose buckets are watched from now on.
    """

    def __init__(self, documents: Documents) -> None:
        self.incidents = Decoded(documents.watch("incidents"), IncidentRecord)
        self.groups = Decoded(documents.watch("groups"), GroupRecord)
        self.symptoms = Decoded(documents.watch("symptoms"), SymptomsRecord)
        self.edges = Decoded(documents.watch("edges"), EdgesRecord)
        self.services = Decoded(documents.watch("services"), ServiceSummary)
        self.errors = Decoded(documents.watch("errors"), ErrorHeads)
        self.feedback = Decoded(documents.watch("feedback"), FeedbackRecord)

    @property
    def changes(self) -> tuple[int, ...]:
        """What differs once something came that may change a group."""
        return tuple(one.watch.changes for one in (self.incidents, self.symptoms, self.feedback))

    def tenants(self) -> list[str]:
        """Return who has incidents."""
        return list(self.incidents.tenants())  # a tenant's name has nothing in it that keys encode

    def heads(self, tenant: str) -> Scene:
        """Return incidents, groups and verdicts alone, by which one sees whether there is anything to do."""
        prefix = tenant_key(tenant, "")
        incidents = {record.id: record for record in self.incidents.all(prefix).values()}
        times = [time for one in incidents.values() for time in (one.detected_at, one.end) if time is not None]
        groups = {record.id: record for record in self.groups.all(prefix).values()}
        return Scene(tenant, max(times, default=_LONG_AGO), incidents, groups, verdicts=self._verdicts(prefix))

    def scene(self, heads: Scene, wanted: Sequence[IncidentRecord]) -> Scene:
        """Return all that is known, with the errors of services with one of some incidents."""
        prefix = tenant_key(heads.tenant, "")
        symptoms = {record.service: record for record in self.symptoms.all(prefix).values()}
        newest = sorted(wanted, key=lambda one: one.start, reverse=True)
        names = list(dict.fromkeys(one.service for one in newest))
        errors = {name: self.errors.one(tenant_key(heads.tenant, name)) for name in names[:_MOST_READ]}
        services = {name: self.services.one(tenant_key(heads.tenant, name)) for name in {*names, *symptoms}}
        seen = [datetime.fromtimestamp(record.as_of_s, UTC) for record in symptoms.values()]
        return Scene(
            heads.tenant,
            max([heads.as_of, *seen]),
            heads.incidents,
            heads.groups,
            symptoms,
            {name: record for name, record in services.items() if record is not None},
            {name: record for name, record in errors.items() if record is not None},
            [_newest(edge, symptoms) for record in self.edges.all(prefix).values() for edge in record.edges()],
            heads.verdicts,
        )

    def _verdicts(self, prefix: str) -> dict[str, list[FeedbackRecord]]:
        said = sorted(self.feedback.all(prefix).values(), key=lambda one: (one.received_at, one.id))
        undone = {one.undoes for one in said if one.undoes is not None}
        found: dict[str, list[FeedbackRecord]] = {}
        for one in said:
            if one.incident_id is not None and one.undoes is None and one.id not in undone:
                found.setdefault(one.incident_id, []).append(one)
        return found


def _newest(edge: Edge, symptoms: Mapping[str, SymptomsRecord]) -> Edge:
    """Return an edge with the traces that lately failed at both ends, which different nodes may have told of, and more lately."""
    caller, callee = symptoms.get(edge.caller), symptoms.get(edge.callee)
    if caller is None or callee is None:
        return edge
    return replace(edge, errors=max(edge.errors, float(caller.failed_with(callee))))
