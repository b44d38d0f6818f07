"""How often the service that is to blame comes first: TrainTicket, PetShop and the sock shop through one ranking.

    python -m benchmarks.rootcause DATA_DIR [--json] [--out FILE]

DATA_DIR holds ``trainticket`` (as for `benchmarks/trainticket.py`), ``petshop`` (folders of issues with ``metrics.csv`` and
``target.json``, a ``graph.csv`` a scenario) and ``rcd_sockshop`` (folders of faults with ``normal.csv`` and ``anomalous.csv``).

A fault of TrainTicket counts as detected at the first tick at which an incident, an anomaly or a symptom of 10 bits was raised that
began in the minute of the fault or later, and the causes are those of the tick two minutes later, by all that was shown from detection to
then, as the account of a group has it; a fault that is not detected within four minutes counts as wrong. Constants were chosen on every
second fault, the first, the third and so on; the others are held out, but for what `docs/measurements.md` says of ways to keep what was
shown before. Beside it stand the services with most ERROR records since the fault. PetShop and the sock shop give metrics alone: a window's value is judged
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
from features import causes as ranking

__all__ = ["main"]

_RANKED_AFTER = 2  # ticks from detection to the causes that count: the newest window of logs and spans is not whole before
_BY = ("incident", "anomaly", "symptom")
_NUMBERS = ("_EXPLAINS", "_HALF_BITS", "_THROUGH", "_TRACE_BITS", "_FIRST_FADE_S", "_MOST_BITS", "_OVER", "_LEADS")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    seen, quiet, alarms = replayed(options.data / "trainticket")
    shops = {"petshop": list(petshop(options.data / "petshop")), "sockshop": list(sockshop(options.data / "rcd_sockshop"))}
    report = {
        "trainticket": _trainticket(seen) | {"minutes before a fault": quiet, "of these with something raised": alarms},
        **{name: _metrics(cases) for name, cases in shops.items()},
        "varied": _varied(seen, [case for cases in shops.values() for case in cases]),
    }
    text = json.dumps(report) if options.json else json.dumps(report, indent=1)
    if options.out:
        options.out.write_text(text)
    print(text)


def _trainticket(seen: Sequence[Seen]) -> dict[str, Any]:
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
    return _at(one, one.ranked, _RANKED_AFTER)


def _place_at_once(one: Seen) -> int:
    return _at(one, one.ranked, 0)


def _noisiest_place(one: Seen) -> int:
    return _at(one, lambda _, after: one.noisiest.get(after, []), _RANKED_AFTER)


def _at(one: Seen, ranked: Callable[[int, int], list[str]], wait: int) -> int:
    """Return the place of the fault's service some ticks after detection, 0 where it has none or nothing was detected."""
    detected = one.detected(_BY)
    if detected is None:
        return 0
    names = ranked(detected, min(detected + wait, AFTER_TICKS))
    return names.index(one.fault.service) + 1 if one.fault.service in names else 0


def _varied(seen: Sequence[Seen], cases: Sequence[Case]) -> dict[str, list[int]]:
    """Return right first causes, of TrainTicket and of all others, with each number of the ranking halved and doubled."""
    found = {"as it is": _right_first(seen, cases)}
    for name in _NUMBERS:
        number: float = getattr(ranking, name)
        for factor in (0.5, 2.0):
            setattr(ranking, name, min(number * factor, 1.0) if number < 1.0 else number * factor)
            found[f"{name.strip('_').lower()} x {factor}"] = _right_first(seen, cases)
        setattr(ranking, name, number)
    return found


def _right_first(seen: Sequence[Seen], cases: Sequence[Case]) -> list[int]:
    return [sum(_place(one) == 1 for one in seen), sum(placed(case) == 1 for case in cases)]


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
