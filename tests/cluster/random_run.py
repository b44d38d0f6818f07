"""A run of faults drawn at random: ``python -m tests.cluster.random_run --seed 7 --minutes 30 --json run.json``.

The same seed draws the same faults in the same order; what they meet depends on the machine. What is left is checked after every few
faults and, with an undisturbed worker's reading of the same log beside it, at the end. The exit code says whether all was well.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.faults import FAULTS, Fault
from tests.cluster.invariants import Violation, summary
from tests.cluster.nodes import Shape
from tests.cluster.session import Record, Session
from tests.cluster.table import table_of

__all__ = ["Outcome", "run"]

_CHECK_EVERY = 5  # faults
_PAUSE_S = (0.0, 1.0)  # between two faults


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went."""

    seed: int
    records: Sequence[Record]
    violations: Sequence[Violation]
    n_events: int

    @property
    def text(self) -> str:
        """The table, and what is wrong."""
        found = summary(self.violations)
        return f"seed {self.seed}\n\n{table_of(self.records, self.violations, self.n_events)}\n{found}"


def run(
    folder: Path,
    shape: Shape,
    seed: int,
    seconds: float,
    only: Collection[str] = (),
    say: Callable[[str], object] = lambda text: print(text, flush=True),
) -> Outcome:
    """Draw faults, of some kinds or of all, for some seconds and return what came of them; it ends early when something is wrong."""
    rng, violations = random.Random(seed), list[Violation]()
    say(f"seed {seed}, {shape}")
    with Session(folder, shape, rng) as session:
        began = time.monotonic()
        while time.monotonic() < began + seconds and not violations:
            fault = _draw(rng, len(session.cluster.nodes), seconds, only)
            say(f"{time.monotonic() - began:7.1f} s  {fault.name}")
            record = session.strike(fault)
            say(f"{time.monotonic() - began:7.1f} s  {record}")
            if len(session.records) % _CHECK_EVERY == 0:
                violations = session.check()
            time.sleep(rng.uniform(*_PAUSE_S))
        violations = violations or session.check() or session.compare()
        return Outcome(seed, session.records, violations, len(session.load.ledger.acknowledged))


def _draw(rng: random.Random, n_nodes: int, seconds: float, only: Collection[str]) -> Fault:
    """Return a fault that the cluster has enough nodes for, and that leaves time for others."""
    there = [fault for fault in FAULTS.values() if fault.nodes <= n_nodes and (seconds > 600 or fault.weight >= 0.5)]
    if only:
        there = [fault for fault in FAULTS.values() if fault.name in only]
    there = [fault for fault in there if fault.name != "add a node" or n_nodes < 4]
    return rng.choices(there, [fault.weight for fault in there])[0]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", action="append", default=[], choices=list(FAULTS), help="a kind of fault; all by default")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes of the cluster end too
    folder = Path(tempfile.mkdtemp(prefix="foreshock-faults-"))
    try:
        outcome = run(folder, Shape(nodes=arguments.nodes), arguments.seed, arguments.minutes * 60.0, arguments.only)
    except BaseException:
        print(f"seed {arguments.seed}; logs and data are in {folder}", file=sys.stderr)
        raise
    print(outcome.text)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(outcome), indent=1))
    if outcome.violations:
        print(f"logs and data are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
