"""The system page: nodes with what they hold and how far behind they are, what comes in, and the limits that bite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec
from prometheus_client import Metric
from prometheus_client.samples import Sample

from app.cache.member_records import DEAD, NodeState
from app.dashboard import words
from app.dashboard.collector import configuration
from app.dashboard.frame import Frame, panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.tables import meter, table
from app.store.contract import Documents

__all__ = ["Rates", "replays", "show"]

_EVERY_S = 2.0  # guessed: numbers of a machine that somebody watches
_MOST = 16
_COMING = ("requests", "records", "body_bytes", "errors", "predictions", "incidents")
_LIMITS = ("rejected_records", "limited", "late_groups", "faults", "fenced", "cache_evictions", "models_refused", "retries")
_TONES = {"alive": "good", "leaving": "warn", "dead": "bad"}


async def show(frame: Frame) -> None:
    """Show the page."""
    page = _System(frame)
    content = frame.head("System", "system")
    with content:
        await frame.section(
            lambda: h("div.title", h("h1", "System"), h("span.soft", "This node, and the others as it sees them."))
        )
        await frame.section(page.nodes)
        await frame.section(lambda: replays(frame.sources.parts.documents))
        await frame.section(page.rates, classes="two")
        await frame.section(page.setup)
    frame.follow(every_s=_EVERY_S)


class Rates:
    """How fast counters rise, from one look to the next.

    Examples
    --------
    >>> rates = Rates()
    >>> rates.of("a", 10.0, 0.0), rates.of("a", 40.0, 2.0)
    (None, 15.0)
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def of(self, name: str, value: float, now_s: float) -> float | None:
        """Return a second's share of what a counter rose since the last look; None at the first."""
        before = self._before.get(name)
        self._before[name] = value, now_s
        if before is None or now_s <= before[1]:
            return None
        return max(value - before[0], 0.0) / (now_s - before[1])


class _System:
    """What the sections hold."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._rates = Rates()
        names = [f"foreshock_{name}_total" for name in _COMING + _LIMITS]
        # Others are measured when they are asked for, over all documents.
        self._counted = frame.sources.parts.telemetry.registry.restricted_registry(names)

    def _now(self) -> datetime:
        return self._frame.sources.parts.now()

    def nodes(self) -> Markup:
        nodes = self._frame.sources.parts.nodes()
        rows = [self._node_row(state, nodes.leader) for state in nodes.states]
        heads = ("Node", "State", "Heard of", "Roles", "Partitions", "Behind by", "Load", "Last tick", "Version", "Up")
        unheld = nodes.unheld
        warn = (
            h("p", h("span.chip", f"{len(unheld)} of {nodes.n_partitions} partitions are held by nobody", data_status="bad"))
            if unheld
            else None
        )
        return panel(
            "Nodes", warn, table(heads, rows, (4, 5)), note=[f"{nodes.n_partitions} partitions, ", words.age(self._now())]
        )

    def _node_row(self, state: NodeState, leader: str | None) -> list[Child]:
        member = state.member
        leads = h("div.soft", "leads") if member.id == leader and state.state != DEAD else None
        return [
            h("div", member.id, leads),
            h("span.chip", state.state, data_status=_TONES.get(state.state, "")),
            f"{words.duration(state.age_s)} ago",
            ", ".join(member.roles),
            str(len(member.held)),
            words.amount(float(member.lag), "entries"),
            words.amount(member.load, "entries/s"),
            words.age(words.moment(member.tick)) if member.tick is not None else words.DASH,
            member.version,
            words.age(words.moment(member.started_at), lasting=True) if member.started_at else words.DASH,
        ]

    def rates(self) -> Markup:
        now, coming, limits = self._now(), list[list[Child]](), list[list[Child]]()
        for name, labels, value in _counters(self._counted.collect):
            short, unit = name.removeprefix("foreshock_").removesuffix("_total"), "B" if "bytes" in name else ""
            rate = self._rates.of(f"{name}{labels}", value, now.timestamp())
            said = words.amount(rate, f"{unit}/s") if rate is not None else "at the next look"
            row: list[Child] = [short.replace("_", " "), ", ".join(labels.values()), words.amount(value, unit), said]
            (coming if short in _COMING else limits).append(row)
        heads = ("What", "Of", "Since the start", "Now")
        at = ["this node, ", words.age(now)]
        some = (
            table(heads, coming[:_MOST], (2, 3))
            if coming
            else h("p.soft", "Nothing has come in yet: the configuration is below.")
        )
        none = h("p.soft", "None: nothing was refused, dropped, folded together or retried since the node started.")
        return join(
            [
                panel("What comes in", some, note=at),
                panel("Limits that bite", table(heads, limits[:_MOST], (2, 3)) if limits else none, note=at),
            ]
        )

    def setup(self) -> Markup:
        sources, view = self._frame.sources, self._frame.view
        if not sources.otlp_http:
            return panel("Where to send", h("p.soft", "This node takes no telemetry in; nodes with the role ingest do."))
        text = configuration(sources.otlp_http, view.tenant, view.default)
        pre = h("pre", text, id="collector", tabindex=0, aria_label="Configuration of the Collector")
        return panel(
            "Where to send",
            h(
                "p",
                "OTLP/HTTP ",
                h("code", sources.otlp_http),
                ", OTLP/gRPC ",
                h("code", sources.otlp_grpc),
                ". For an OpenTelemetry Collector:",
            ),
            h("p", h("button", "Copy", type="button", data_copy="collector")),
            pre,
        )


def replays(documents: Documents) -> Markup:
    """Return how far recorded telemetry was taken in, nothing where none was.

    Parameters
    ----------
    documents : Documents
        Where ``foreshock replay`` and ``foreshock demo`` note it.
    """
    rows: list[list[Child]] = [
        [h("code", document.key), f"{msgspec.json.decode(document.value)['line']} lines taken in"]
        for document in documents.items("replays")
    ]
    shop, fed = documents.get("demo", "shop"), documents.get("demo", "fed")
    if shop is not None and documents.get("demo", "live") is None:
        minutes = max(float(msgspec.json.decode(shop.value)["days"]) * 1440, 1.0)
        done = min(float(fed.value) / minutes, 1.0) if fed is not None else 0.0
        progress = join([words.percent(done), meter(done, "History of the demonstration")])
        rows.append(["history of the demonstration's shop", progress])
    return panel("Replay", table(("What", "How far"), rows), note="told at every look") if rows else Markup("")


def _counters(collect: Callable[[], Iterable[Metric]]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the counters that are not zero."""
    for metric in collect():
        if metric.type == "counter":
            samples: list[Sample] = [one for one in metric.samples if one.name.endswith("_total") and one.value > 0]
            yield from ((sample.name, dict(sample.labels), sample.value) for sample in samples)
