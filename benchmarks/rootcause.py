"""How often the service that is to blame comes first: TrainTicket, PetShop and the sock shop through one ranking.

    python -m benchmarks.rootcause DATA_DIR [--json] [--out FILE]

DATA_DIR holds ``trainticket`` (as for `benchmarks/trainticket.py`), ``petshop`` (folders of issues with ``metrics.csv`` and
``target.json``, a ``graph.csv`` a scenario) and ``rcd_sockshop`` (folders of faults with ``normal.csv`` and ``anomalous.csv``).

A fault of TrainTicket counts as detected at the first tick at which an incident, an anomaly or a symptom of 10 bits was raised that
began in the minute of the fault or later, and the causes are those of the tick two minutes later; a fault that is not detected within
four minutes counts as wrong. Constants were chosen on every second fault, the first, the third and so on; the others are held out. Beside
it stand the services with most ERROR records since the fault. PetShop and the sock shop give metrics alone: a window's value is judged
as a level, or failures given requests, is; where PetShop says which node suffered, what that node depends on can be the cause. Chance is one in as
many as there are to choose from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.rootcause_metrics import Case, petshop, placed, sockshop
from benchmarks.rootcause_trainticket import AFTER_TICKS, Seen, replayed

__all__ = ["main"]

_RANKED_AFTER = 2  # ticks from detection to the causes that count: the newest window of logs and spans is not whole before
_BY = ("incident", "anomaly", "symptom")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = {
        "trainticket": _trainticket(options.data / "trainticket"),
        "petshop": _metrics(list(petshop(options.data / "petshop"))),
        "sockshop": _metrics(list(sockshop(options.data / "rcd_sockshop"))),
    }
    text = json.dumps(report) if options.json else json.dumps(report, indent=1)
    if options.out:
        options.out.write_text(text)
    print(text)


def _trainticket(folder: Path) -> dict[str, Any]:
    seen, quiet, alarms = replayed(folder)
    kinds = sorted({one.fault.kind for one in seen})
    groups = {
        "all": seen,
        "chosen on": seen[::2],
        "held out": seen[1::2],
        **{kind: [one for one in seen if one.fault.kind == kind] for kind in kinds},
    }
    detected = {by: _detection(seen, (by,)) for by in _BY} | {"any": _detection(seen, _BY)}
    return {
        "detected": detected,
        "minutes before a fault": quiet,
        "of these with something raised": alarms,
        "causes": {name: _scores(group, _place) for name, group in groups.items()},
        "causes without waiting": {name: _scores(group, _place_at_once) for name, group in groups.items()},
        "most ERROR records": {name: _scores(group, _noisiest_place) for name, group in groups.items()},
        "faults": [
            [one.fault.time_s, one.fault.service, one.fault.kind, one.delay_s(_BY), _place(one), _noisiest_place(one)]
            for one in seen
        ],
    }


def _detection(seen: Sequence[Seen], by: Iterable[str]) -> dict[str, float | int | None]:
    delays = [delay for one in seen if (delay := one.delay_s(by)) is not None]
    return {"faults": len(delays), "median_delay_s": median(delays) if delays else None}


def _scores(group: Sequence[Seen], place: Callable[[Seen], int]) -> dict[str, int]:
    places = [place(one) for one in group]
    return {"n": len(places), "top1": sum(p == 1 for p in places), "top3": sum(1 <= p <= 3 for p in places)}


def _place(one: Seen) -> int:
    return _at(one.fault.service, one, one.ranked, _RANKED_AFTER)


def _place_at_once(one: Seen) -> int:
    return _at(one.fault.service, one, one.ranked, 0)


def _noisiest_place(one: Seen) -> int:
    return _at(one.fault.service, one, one.noisiest, _RANKED_AFTER)


def _at(service: str, one: Seen, lists: dict[int, list[str]], wait: int) -> int:
    """Return the place of a service some ticks after detection, 0 where it has none or nothing was detected."""
    after = one.detected(_BY)
    if after is None:
        return 0
    ranked = lists.get(min(after + wait, AFTER_TICKS), [])
    return ranked.index(service) + 1 if service in ranked else 0


def _metrics(cases: Sequence[Case]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for kind in ("all", *sorted({case.kind for case in cases})):
        some = [case for case in cases if kind in ("all", case.kind)]
        places = [placed(case) for case in some]
        top1, top3 = sum(p == 1 for p in places), sum(1 <= p <= 3 for p in places)
        chance = mean(1.0 / case.candidates for case in some)
        report[kind] = {
            "n": len(some),
            "top1": top1,
            "top3": top3,
            "chance_top1": round(chance, 3),
            "chance_top3": round(3 * chance, 3),
        }
    report["distinct_roots"] = len({case.root for case in cases})
    return report


if __name__ == "__main__":
    main()
