"""What workers publish of services that show symptoms, of who calls whom, and of parts of errors that grew.

`app.symptom_documents` fills them, `app.correlation` and `app.api.graph` read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.symptom import Edge, Symptom, Symptoms

__all__ = ["CalleeRecord", "EdgesRecord", "HotspotRecord", "HotspotsRecord", "SymptomsRecord"]


@dataclass(frozen=True, slots=True)
class SymptomsRecord:
    """What a service shows as of a tick; of services that show nothing there is none.

    Parameters
    ----------
    as_of_s : int
        Unix second of the tick.
    symptoms : tuple of Symptom
        Strongest first.
    traces : tuple of int
        Hashes of traces in which it failed lately, see `features.symptom.Symptoms`.
    tick_s : int
        Seconds of a window.
    errors : tuple of float
        ErrorEvents of the last windows, the newest at the end.
    """

    tenant: str
    service: str
    as_of_s: int
    symptoms: tuple[Symptom, ...]
    traces: tuple[int, ...] = ()
    tick_s: int = 60
    errors: tuple[float, ...] = ()

    def shown(self) -> Symptoms:
        """Return what causes are ranked by."""
        return Symptoms(self.tenant, self.service, self.as_of_s, self.symptoms, self.traces)

    def failed_with(self, other: SymptomsRecord) -> int:
        """Return how many traces lately failed here and at another service, as far as they were kept."""
        return len(set(self.traces) & set(other.traces))

    def errors_between(self, start_s: int, end_s: int) -> float:
        """Return the errors of the windows that began in an interval, as far as they are here.

        Examples
        --------
        >>> SymptomsRecord("default", "cart", 600, (), errors=(1.0, 2.0, 4.0)).errors_between(480, 600)
        6.0
        """
        first_s = self.as_of_s - len(self.errors) * self.tick_s
        return float(sum(count for n, count in enumerate(self.errors) if start_s <= first_s + n * self.tick_s < end_s))


@dataclass(frozen=True, slots=True)
class CalleeRecord:
    """Calls to a service or an external peer.

    Parameters
    ----------
    calls : float
        Faded, see `features.graph`.
    errors : float
        Traces that lately failed at both ends, as far as one node has both.
    lag_s, lead_bits : float
        See `features.symptom.Edge`.
    """

    callee: str
    calls: float
    errors: float = 0.0
    lag_s: float = 0.0
    lead_bits: float = 0.0


@dataclass(frozen=True, slots=True)
class EdgesRecord:
    """Whom a service calls, by name, as of a tick."""

    tenant: str
    caller: str
    as_of_s: int
    callees: tuple[CalleeRecord, ...] = ()

    def edges(self) -> list[Edge]:
        """Return the edges that causes are ranked along."""
        return [
            Edge(self.tenant, self.caller, one.callee, one.calls, one.errors, one.lag_s, one.lead_bits) for one in self.callees
        ]


@dataclass(frozen=True, slots=True)
class HotspotRecord:
    """A part of a service's errors whose share grew; the members are those of `features.hotspots.Hotspot`."""

    dimension: str
    name: str
    state: str
    errors: float
    share: float
    share_before: float
    ratio: float
    since_s: int


@dataclass(frozen=True, slots=True)
class HotspotsRecord:
    """The hotspots of a service as of a tick, the most significant first; of services without any there is none."""

    tenant: str
    service: str
    as_of_s: int
    hotspots: tuple[HotspotRecord, ...] = ()
