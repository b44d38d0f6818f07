"""Change the code of `features` and `models` and see whether a test notices: ``python -m tests.mutation --sample 10 --seed 1``.

mutmut makes the changes and runs the tests of each, module by module in a copy of the repository. Of every module a sample is drawn, by
seed, and only the module's own tests and doctests are asked: `features/windows.py` is judged by `tests/features/test_windows.py`. A
change that others would have noticed counts as survived, so the score is a lower bound. ``make mutation`` runs it; it needs the extra
``mutation``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Score", "drawn", "main", "outcomes", "total"]

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"
PACKAGES = ("features", "models")
_COPIED = (*PACKAGES, "tests")
_OUTCOMES = {
    0: "survived",
    1: "killed",
    3: "killed",
    33: "untested",
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
}
"""By the exit status that mutmut keeps. All else, such as a crash, counts as neither."""


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a sample of a module's mutants.

    Parameters
    ----------
    module : str
        Its path.
    n_mutants : int
        That can be made of the module.
    killed : int
        Noticed by a test, or running for far too long.
    survived : tuple of str
        Names of those that no test noticed, for ``mutmut show``.
    """

    module: str
    n_mutants: int
    killed: int
    survived: tuple[str, ...]

    @property
    def share(self) -> float | None:
        """Killed of those that were judged; None where none was."""
        judged = self.killed + len(self.survived)
        return self.killed / judged if judged else None


def drawn(names: Sequence[str], n: int, seed: int) -> list[str]:
    """Draw names without replacement, the same for the same seed.

    Examples
    --------
    >>> drawn(["a", "b", "c"], 5, 1)
    ['a', 'b', 'c']
    >>> drawn(["a", "b", "c"], 2, 1) == drawn(["c", "b", "a"], 2, 1)
    True
    """
    ordered = sorted(names)
    return ordered if len(ordered) <= n else sorted(random.Random(seed).sample(ordered, n))


def outcomes(module: str, statuses: Mapping[str, int | None], chosen: Sequence[str]) -> Score:
    """Return what became of the mutants that were chosen.

    Examples
    --------
    >>> outcomes("features/x.py", {"a": 0, "b": 1, "c": 33, "d": None, "e": -11}, ["a", "b", "c", "e"])
    Score(module='features/x.py', n_mutants=5, killed=1, survived=('a', 'c'))
    """
    became = {name: _OUTCOMES.get(abs(status)) for name in chosen if (status := statuses.get(name)) is not None}
    counts = Counter(became.values())
    survived = tuple(name for name, what in became.items() if what in {"survived", "untested"})
    return Score(module, len(statuses), counts["killed"] + counts["timeout"], survived)


def total(scores: Sequence[Score]) -> float | None:
    """Return the share over all modules, each weighted by the mutants that can be made of it; None where none was judged.

    Examples
    --------
    >>> total([Score("a", 30, 2, ("x",)), Score("b", 10, 1, ()), Score("c", 5, 0, ())])
    0.75
    """
    judged = [(score.n_mutants, score.share) for score in scores if score.share is not None]
    weight = sum(n for n, _ in judged)
    return sum(n * share for n, share in judged) / weight if weight else None


def _modules(patterns: Sequence[str]) -> list[str]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")) if path.name != "__init__.py"]
    names = [str(path.relative_to(ROOT)) for path in found]
    return [name for name in names if not patterns or any(pattern in name for pattern in patterns)]


def _judged(module: str, n: int, seed: int, workers: int) -> Score:
    folder = WORK / module.replace("/", ".").removesuffix(".py")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.xz"))
    path = Path(module)
    tests = ["tests/" + str(path.parent / f"test_{path.name}"), module]
    chosen = f"only_mutate = {json.dumps([module])}\npytest_add_cli_args_test_selection = {json.dumps(tests)}\n"
    project = (ROOT / "pyproject.toml").read_text()
    assert project.count("[tool.mutmut]\n") == 1
    (folder / "pyproject.toml").write_text(project.replace("[tool.mutmut]\n", f"[tool.mutmut]\n{chosen}"))
    _mutmut(folder, ["none"], workers)  # makes the mutants, and sees which test runs what
    statuses = _statuses(folder, module)
    names = drawn(list(statuses), n, seed)
    if names:
        _mutmut(folder, names, workers)
    return outcomes(module, _statuses(folder, module), names)


def _mutmut(folder: Path, names: Sequence[str], workers: int) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers), *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # what is not copied comes from here
    with (folder / "mutmut.log").open("a") as log:
        subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)


def _statuses(folder: Path, module: str) -> dict[str, int | None]:
    meta = folder / "mutants" / f"{module}.meta"
    found: dict[str, Any] = json.loads(meta.read_text()) if meta.exists() else {"exit_code_by_key": {}}
    return found["exit_code_by_key"]


def main() -> int:
    """Judge a sample of every module and print the score; the exit status is 1 below the target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="parts of paths; all modules of features and models without")
    parser.add_argument("--sample", type=int, default=10, help="mutants of a module at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no module after that; they come in an order by seed"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--target", type=float, default=0.8)
    given = parser.parse_args()
    ends, order = time.monotonic() + given.seconds, _modules(given.modules)
    random.Random(given.seed).shuffle(order)
    scores: list[Score] = []
    for module in order:
        if time.monotonic() > ends:
            break
        score = _judged(module, given.sample, given.seed, given.workers)
        scores.append(score)
        share = "nothing to judge" if score.share is None else f"{score.share:.0%}"
        print(f"{module}: {share}, {score.killed} killed, {len(score.survived)} survived, of {score.n_mutants}", flush=True)
        for name in score.survived:
            print(f"    {name}", flush=True)
    share = total(scores)
    kept = {"share": share, "seed": given.seed, "sample": given.sample, "modules": [asdict(score) for score in scores]}
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "score.json").write_text(json.dumps(kept, indent=1))
    if share is None:
        print("nothing was judged; mutmut.log in build/mutation says why")
        return 1
    judged = sum(score.killed + len(score.survived) for score in scores)
    print(f"score {share:.1%} over {len(scores)} of {len(order)} modules, {judged} mutants judged (seed {given.seed})")
    return 0 if share >= given.target else 1


if __name__ == "__main__":
    sys.exit(main())
