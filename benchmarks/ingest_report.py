"""What `benchmarks.ingest` prints and writes: the rounds reduced to medians and ratios, as table, CSV and plot."""

from __future__ import annotations

import csv
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import machine as machine_with
from benchmarks.processes import find_rotel

__all__ = ["Round", "Row", "machine", "plot", "summary", "table", "write_csv"]

_PACKAGES = ("foreshock", "rotel", "numpy", "protobuf", "grpcio", "uvicorn", "uvloop", "httptools", "zlib-ng", "msgspec")


@dataclass(frozen=True, slots=True)
class Round:
    """One load sent once to one receiver.

    Parameters
    ----------
    load, receiver : str
        Names.
    number : int
        Of the round.
    requests, records : int
        Sent and answered with success.
    cpu_s, wall_s : float
        Of the receiver's whole process tree, and elapsed, until all was absorbed.
    p50_s, p99_s : float
        Time of an answer.
    rss_mib : float
        Resident memory after the round.
    """

    load: str
    receiver: str
    number: int
    requests: int
    records: int
    cpu_s: float
    wall_s: float
    p50_s: float
    p99_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Row:
    """One load and receiver over all rounds.

    Parameters
    ----------
    load, receiver : str
        Names.
    rounds : int
        How many.
    ms_a_request : float
        CPU milliseconds a request, median over the rounds, upkeep added.
    records_a_cpu_s, lowest, highest : float
        Records per CPU-second, upkeep added: median, minimum and maximum over the rounds.
    ratio, ratio_lowest, ratio_highest : float
        The same over the peer's in the same round.
    p50_ms, p99_ms : float
        Time of an answer, median over the rounds of each round's.
    """

    load: str
    receiver: str
    rounds: int
    ms_a_request: float
    records_a_cpu_s: float
    lowest: float
    highest: float
    ratio: float
    ratio_lowest: float
    ratio_highest: float
    p50_ms: float
    p99_ms: float


def summary(rounds: Sequence[Round], upkeep: Mapping[str, float], peer: str) -> list[Row]:
    """Reduce the rounds to one row a load and receiver, in the order of the rounds."""
    rates: dict[tuple[str, str], dict[int, float]] = {}
    for one in rounds:
        rates.setdefault((one.load, one.receiver), {})[one.number] = one.records / (one.cpu_s * (1 + upkeep[one.receiver]))
    rows: list[Row] = []
    for (load, receiver), rate in rates.items():
        mine = [one for one in rounds if (one.load, one.receiver) == (load, receiver)]
        ratios = [rate[number] / rates[load, peer][number] for number in rate]
        middle = median(rate.values())
        spread = (middle, min(rate.values()), max(rate.values()), median(ratios), min(ratios), max(ratios))
        ms = mine[0].records / mine[0].requests / middle * 1e3
        p50, p99 = (median(getattr(one, name) for one in mine) * 1e3 for name in ("p50_s", "p99_s"))
        rows.append(Row(load, receiver, len(mine), ms, *spread, p50, p99))
    return rows


def table(rows: Sequence[Row], upkeep: Mapping[str, float], faults: Mapping[str, Sequence[str]]) -> str:
    """Return the rows as text."""
    lines = [
        f"{'load':<24}{'receiver':<18}{'ms/request':>11}{'records/CPU-s':>15}{'ratio to rotel':>24}{'p50 ms':>8}{'p99 ms':>8}"
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f} [{row.ratio_lowest:.2f}, {row.ratio_highest:.2f}]"
        rate = f"{row.ms_a_request:11.3f}{row.records_a_cpu_s:15,.0f}"
        lines.append(f"{row.load:<24}{row.receiver:<18}{rate}{ratio:>24}{row.p50_ms:8.1f}{row.p99_ms:8.1f}")
    lines.append("upkeep, share of one core: " + ", ".join(f"{name} {share:.2%}" for name, share in upkeep.items()))
    for name, found in faults.items():
        lines.append(f"{name}: " + ("; ".join(found) or "every record sent is counted and stands in a window; no limit bit"))
    return "\n".join(lines)


def write_csv(rounds: Sequence[Round], path: Path) -> None:
    """Write every round as a line."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Round)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in rounds)


def plot(rows: Sequence[Row], where: Mapping[str, object], folder: Path) -> None:
    """Draw records per CPU-second of every load, 512-record requests and one-record requests apart, as SVG and PNG."""
    receivers = list(dict.fromkeys(row.receiver for row in rows))
    figure: Any = import_module("matplotlib.figure").Figure(figsize=(11, 6), layout="constrained")
    groups = [[load for load in dict.fromkeys(r.load for r in rows) if (" 1 x" in load) == single] for single in (False, True)]
    groups = [loads for loads in groups if loads]
    panels = figure.subplots(1, len(groups), squeeze=False, width_ratios=[len(loads) + 1 for loads in groups])[0]
    height = 0.8 / len(receivers)
    for panel, loads in zip(panels, groups, strict=True):
        for at, receiver in enumerate(receivers):
            mine = {row.load: row for row in rows if row.receiver == receiver}
            rates = [mine[load].records_a_cpu_s for load in loads]
            errors = [
                [mine[x].records_a_cpu_s - mine[x].lowest for x in loads],
                [mine[x].highest - mine[x].records_a_cpu_s for x in loads],
            ]
            panel.bar([k + at * height for k in range(len(loads))], rates, height, yerr=errors, capsize=2, label=receiver)
        panel.set_xticks(
            [k + height * (len(receivers) - 1) / 2 for k in range(len(loads))], [x.replace(" ", "\n", 2) for x in loads]
        )
        panel.set_ylabel("records per CPU-second")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(receivers))
    figure.suptitle(
        f"Whole server process, median and range of rounds. {where['cpu']}, {where['cores']} cores, {where['date']}"
    )
    for kind in ("svg", "png"):
        figure.savefig(folder / f"ingest.{kind}", dpi=110)


def machine(asked_rotel: Path | None) -> dict[str, object]:
    """Return where and with which versions it ran."""
    binary = subprocess.run([find_rotel(asked_rotel), "--version"], capture_output=True, text=True, check=False)
    return machine_with(_PACKAGES) | {
        "libc": "-".join(platform.libc_ver()),
        "rotel_binary": binary.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }
