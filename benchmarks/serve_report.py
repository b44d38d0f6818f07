"""What `benchmarks.serve` tells of its cells: medians over rounds, and how each server compares to MLServer within a round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["MLSERVERS", "Cell", "reduced", "table"]

MLSERVERS = {"mlserver": 1, "mlserver in-process": 0}
"""`parallel_workers` by name: the default, and the model in the process that answers."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one server did with a number of connections in one round.

    Parameters
    ----------
    server : str
        Its name.
    connections, round : int
        Which.
    requests_s : float
        Answers a second.
    p50_ms, p99_ms : float
        Time of an answer.
    cpu_us : float
        CPU time of the server's process tree for an answer, microseconds.
    """

    server: str
    connections: int
    round: int
    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def reduced(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return a row for each server and number of connections: medians over rounds, and how they compare to MLServer within each round.

    `times` is answers a second over those of the faster MLServer, `times_cpu` answers for the same processor time over those of the thriftier
    one; each the median, the least and the most over rounds.

    Examples
    --------
    >>> cells = [Cell("mlserver", 1, 0, 100.0, 9.0, 12.0, 8e3), Cell("foreshock", 1, 0, 2000.0, 0.4, 0.9, 100.0)]
    >>> [(row["server"], row["requests_s"], row["times"], row["times_cpu"]) for row in reduced(cells)]
    [('mlserver', 100.0, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]), ('foreshock', 2000.0, [20.0, 20.0, 20.0], [80.0, 80.0, 80.0])]
    """
    peers: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        if cell.server in MLSERVERS:
            peers.setdefault((cell.connections, cell.round), []).append(cell)
    rows: list[dict[str, Any]] = []
    for server, connections in dict.fromkeys((cell.server, cell.connections) for cell in cells):
        own = [cell for cell in cells if (cell.server, cell.connections) == (server, connections)]
        beside = [(cell, peers[connections, cell.round]) for cell in own]
        row: dict[str, Any] = {"server": server, "connections": connections}
        for name in ("requests_s", "p50_ms", "p99_ms", "cpu_us"):
            row[name] = round(median(getattr(cell, name) for cell in own), 3)
        row["times"] = _spread(cell.requests_s / max(peer.requests_s for peer in found) for cell, found in beside)
        row["times_cpu"] = _spread(min(peer.cpu_us for peer in found) / cell.cpu_us for cell, found in beside)
        rows.append(row)
    return rows


def _spread(ratios: Iterable[float]) -> list[float]:
    found = sorted(ratios)
    return [round(ratio, 2) for ratio in (median(found), found[0], found[-1])]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows for a page."""
    lines = [
        "| connections | server | requests/s | p50 ms | p99 ms | times MLServer's requests/s | CPU us a request | MLServer's CPU time over it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row["connections"], -row["requests_s"])):
        times, cpu = ("{:.1f} [{:.1f}, {:.1f}]".format(*row[name]) for name in ("times", "times_cpu"))
        lines.append(
            f"| {row['connections']} | {row['server']} | {row['requests_s']:,.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {times} | "
            f"{row['cpu_us']:,.0f} | {cpu} |"
        )
    return "\n".join(lines)
