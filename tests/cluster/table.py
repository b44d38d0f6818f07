"""The table of a run: what each fault cost, and whether anything was lost or counted twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from tests.cluster.invariants import Violation
from tests.cluster.session import Record

__all__ = ["rows_of", "table_of"]

_HEAD = (
    "fault",
    "n",
    "hand-over s (median, max)",
    "predictions s (median, max)",
    "longest refusal s",
    "longest wait s",
    "retries",
)


def rows_of(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """Return a row for each kind of fault, and one for all of them."""
    kinds: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        kinds[record.fault].append(record)
    return [_row(name, found) for name, found in [*sorted(kinds.items()), ("all", list(records))]]


def table_of(records: Sequence[Record], violations: Sequence[Violation], n_events: int) -> str:
    """Return the table as text, in the form that the documentation has it.

    Examples
    --------
    >>> print(table_of([Record("kill", "n0", 2.0, 3.0, 1.5, 2.5, 4)], [], 100))
    | fault | n | hand-over s (median, max) | predictions s (median, max) | longest refusal s | longest wait s | retries |
    |---|---|---|---|---|---|---|
    | kill | 1 | 2.0, 2.0 | 3.0, 3.0 | 1.5 | 2.5 | 4 |
    | all | 1 | 2.0, 2.0 | 3.0, 3.0 | 1.5 | 2.5 | 4 |
    <BLANKLINE>
    100 events acknowledged; lost 0, doubled 0, other violations 0
    """
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(row) + " |" for row in rows_of(records)]
    lost, doubled = (sum(violation.what == what for violation in violations) for what in ("lost", "doubled"))
    others = len(violations) - lost - doubled
    return "\n".join([*lines, "", f"{n_events} events acknowledged; lost {lost}, doubled {doubled}, other violations {others}"])


def _row(name: str, found: Sequence[Record]) -> tuple[str, ...]:
    return (
        name,
        str(len(found)),
        _spread([record.hand_over_s for record in found if record.hand_over_s is not None]),
        _spread([record.resumed_s for record in found]),
        f"{max((record.refusal_s for record in found), default=0.0):.1f}",
        f"{max((record.wait_s for record in found), default=0.0):.1f}",
        str(sum(record.retries for record in found)),
    )


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f}, {max(values):.1f}" if values else "-"
