"""How evenly partitions are placed, and how many move when a member of the cluster comes or goes.

    python -m benchmarks.placement [--members 3 8 64 1000] [--seed 0] [--json]

For each number of members there are 10 partitions a member, but at least 64. Members have random names. Counted are the partitions of the
members with fewest and most, those that move when one more member joins beside the number that it should get, and those that move when
one leaves beside those that it owned; both are means over five members.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import numpy as np

from app.placement import Candidate, placed
from benchmarks.answers import answers_as_json, deliver

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[3, 8, 64, 1000])
    answers_as_json(parser)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    rows = [_measured(n, max(64, 10 * n), rng) for n in asked.members]
    for row in rows:
        print(", ".join(f"{name} {value:.4g}" for name, value in row.items()), file=sys.stderr)
    deliver(asked, placements=rows)


def _measured(n: int, partitions: int, rng: np.random.Generator) -> dict[str, float]:
    names = [f"node-{number:08x}" for number in rng.choice(2**32, n + 5, replace=False).tolist()]
    members, joining = [Candidate(name) for name in names[:n]], [Candidate(name) for name in names[n:]]
    began = time.process_time()
    owners = placed(partitions, members)
    took_s = time.process_time() - began
    counts = Counter(owners)
    joined = [_moved(owners, placed(partitions, [*members, one])) for one in joining]
    leaving = members[: min(5, n - 1)]
    left = [_moved(owners, placed(partitions, [m for m in members if m is not one])) for one in leaving]
    return {
        "members": n,
        "partitions": partitions,
        "cpu_s": took_s,
        "fewest": min(counts.get(name, 0) for name in names[:n]),
        "most": max(counts.values()),
        "moved_by_join": float(np.mean(joined)),
        "fair_share": partitions / (n + 1),
        "moved_by_leave": float(np.mean(left)),
        "owned_by_leaver": float(np.mean([counts[one.id] for one in leaving])),
    }


def _moved(before: list[str], after: list[str]) -> int:
    return sum(one != other for one, other in zip(before, after, strict=True))


if __name__ == "__main__":
    main()
