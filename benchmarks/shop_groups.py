"""How incidents of the simulated shop come together, and whether the first cause of each group is the service with the fault.

    python -m benchmarks.shop_groups [--days 1] [--seed 0] [--faults-per-day 24] [--json]

The shop's minutes go through the whole line without network and disk, with all documents of every tick; after each tick incidents are put
together as a node does it (`app.correlation`). A fault is found when a group begins from a minute before its errors until five minutes
after its end. Of each found fault the first such group tells: how many of its causes, from the first, must be read until the fault's
service comes. An undetected fault counts as wrong. `chance` is a service drawn from those of the group; `most errors` is the service of
the group with the most ErrorEvents. Groups that begin with no fault are false alarms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.cache.documents import decode_document
from app.cache.group_records import GroupRecord
from app.correlation import Correlation, CorrelationParts
from app.demo.faults import Fault
from app.demo.simulate import Shop
from app.flow import Flow, FlowPlan
from app.settings import StoreSettings
from app.store.contract import Documents
from app.store.sqlite import open_store
from app.telemetry import Telemetry
from benchmarks.answers import answers_as_json, deliver
from benchmarks.shop_line import absorb_minute

__all__ = ["main"]

_PARTITIONS = 1  # as `benchmarks.shop_line` has it
_READ = ("incidents", "symptoms", "edges", "services", "errors")
_BEFORE, _AFTER = timedelta(minutes=1), timedelta(minutes=5)
_START = datetime(2026, 1, 5, tzinfo=UTC)


def play(shop: Shop, documents: Documents) -> list[GroupRecord]:
    """Send the shop's minutes through the line, look at its incidents after each, and return the groups as they were in the end."""
    flow, correlation = Flow(FlowPlan(), Telemetry()), Correlation(CorrelationParts(documents), Telemetry())
    for number in range(shop.n_minutes):
        tick = absorb_minute(flow, shop, number) // 60
        outputs = flow.forecast(tick, dict.fromkeys(range(_PARTITIONS), tick), publish=True)
        for output in (one for part in outputs.values() for one in part):
            if output.value is None:
                documents.delete(output.bucket, output.key)
            elif output.bucket in _READ:
                documents.put(output.bucket, output.key, output.value)
        correlation.look_at_all()
    return [decode_document(document.value, GroupRecord) for document in documents.items("groups")]


def judge(faults: list[Fault], groups: list[GroupRecord]) -> dict[str, float]:
    """Return how often the fault's service came first, and what is beside it."""
    groups = sorted(groups, key=lambda one: one.start)
    of_fault = [_of(fault, groups) for fault in faults]
    found = [(fault, mine) for fault, mine in zip(faults, of_fault, strict=True) if mine]
    ranks = [_rank([one.service for one in mine[0].causes], fault.service) for fault, mine in found]
    errors = [sorted(mine[0].services, key=lambda one: -one.errors) for _, mine in found]
    by_errors = [_rank([one.service for one in order], fault.service) for (fault, _), order in zip(found, errors, strict=True)]
    claimed = {one.id for mine in of_fault for one in mine}
    n = max(len(faults), 1)
    return {
        "faults": len(faults),
        "found": len(found),
        "top 1": sum(rank == 1 for rank in ranks) / n,
        "top 3": sum(rank <= 3 for rank in ranks) / n,
        "top 1 by most errors": sum(rank == 1 for rank in by_errors) / n,
        "top 1 by chance": sum(1.0 / len(mine[0].services) for _, mine in found) / n,
        "groups a found fault": sum(len(mine) for mine in of_fault) / max(len(found), 1),
        "services a group": sum(len(mine[0].services) for _, mine in found) / max(len(found), 1),
        "groups without a fault": len([one for one in groups if one.id not in claimed]),
        "plans that begin there": sum(bool(mine[0].plan) and mine[0].plan[0].service == f.service for f, mine in found) / n,
    }


def _of(fault: Fault, groups: list[GroupRecord]) -> list[GroupRecord]:
    return [one for one in groups if fault.start - _BEFORE <= one.start < fault.end + _AFTER]


def _rank(names: list[str], service: str) -> float:
    return names.index(service) + 1 if service in names else float("inf")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--faults-per-day", type=float, default=24.0)
    answers_as_json(parser)
    asked = parser.parse_args(argv)
    shop = Shop(asked.seed, asked.days, asked.faults_per_day, _START)
    with tempfile.TemporaryDirectory() as folder:
        settings = StoreSettings(commit_window_ms=0.0)
        with open_store(Path(folder), settings=settings, max_in_flight_bytes=2**28, now=lambda: datetime.now(UTC)) as store:
            groups = play(shop, store.documents)
    found = judge(list(shop.truth()), groups)
    deliver(
        asked, days=asked.days, faults_per_day=asked.faults_per_day, **{name.replace(" ", "_"): n for name, n in found.items()}
    )
    if not asked.json:
        print("\n".join(f"{name:28}{value:10.3g}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
