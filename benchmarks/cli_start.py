"""What commands take that have next to nothing to do: processor time, elapsed time and memory, each call a process of its own.

    python -m benchmarks.cli_start [--calls 10] [--beside DIR] [--json] [--out FILE]

Every command is called once to warm the disk's cache and then `--calls` times, the commands in turns; with `--beside` those of another checkout
in turns with them, by the same Python and packages, such as ``git worktree add DIR COMMIT`` makes one. `migrate` is given a cluster that it must
refuse, `replay --to` a service that is not there, `serve` is ended as soon as it says where REST is. Told are medians; `whole` is the import of the whole service
(``import app.main, app.folder``), by which commands of another machine are compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.answers import answers_as_json, deliver

__all__ = ["main"]

_HERE = Path(__file__).resolve().parents[1]
_WHOLE = "whole"
_MISTAKE = 2
_REFUSED = {"migrate", "replay"}
_LINE = '{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1700000000000000000"}]}]}]}\n'
_PORTS = {f"FORESHOCK_SERVER__{name}_PORT": "0" for name in ("OTLP_HTTP", "OTLP_GRPC", "API")}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command.

    Parameters
    ----------
    cpu_s, elapsed_s : float
        Seconds; of ``serve`` elapsed until it listens.
    peak_mib : float
        Most memory that it held.
    """

    cpu_s: float
    elapsed_s: float
    peak_mib: float


def commands(folder: Path) -> dict[str, list[str]]:
    """Return what is called by its name, over a data folder in which one token is."""
    data = ["--data", str(folder / "data")]
    recording = folder / "lines.jsonl"
    recording.write_text(_LINE, encoding="utf-8")
    return {
        "--help": ["--help"],
        "version": ["version"],
        "check-config": ["check-config", *data],
        "cluster-config": ["cluster-config", "n1", "--out", str(folder / "nats")],
        "tokens list": ["tokens", "list", *data],
        "models list": ["models", "list", *data],
        "replay --to": ["replay", str(recording), "--to", "http://127.0.0.1:9"],
        "migrate": ["migrate", "--to-nats", "nats://127.0.0.1:9", *data],
        "serve": ["serve", "--data", str(folder / "served")],
    }


def call(checkout: Path, arguments: Sequence[str]) -> Call:
    """Call a command of a checkout and return what it took."""
    code = ["-c", "import app.main, app.folder"] if list(arguments) == [_WHOLE] else ["-m", "app.cli", *arguments]
    environment = dict(os.environ, PYTHONPATH=str(checkout), COLUMNS="200", **_PORTS)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *code], cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process.stderr as told:
        if arguments[0] == "serve":
            while not (line := told.readline()).startswith("REST"):
                if not line:
                    raise SystemExit(f"{checkout}: serve ended before it listened")
            elapsed_s = time.perf_counter() - begun
            process.terminate()
            told.read()
        else:
            told.read()
            elapsed_s = 0.0
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (_MISTAKE if arguments[0] in _REFUSED else 0):
        raise SystemExit(f"{checkout}: {' '.join(arguments)} ended with {process.returncode}")
    return Call(used.ru_utime + used.ru_stime, elapsed_s or time.perf_counter() - begun, used.ru_maxrss / 1024)


def measure(checkouts: Sequence[Path], n_calls: int, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return medians by checkout and command."""
    call(_HERE, ["tokens", "create", "--data", str(folder / "data"), "--name", "one", "--scope", "read", "--tenant", "default"])
    subjects = {_WHOLE: [_WHOLE], **commands(folder)}
    found: dict[tuple[Path, str], list[Call]] = {}
    for round_ in range(n_calls + 1):
        for name, arguments in subjects.items():
            for checkout in checkouts[:: 1 if round_ % 2 else -1]:
                taken = call(checkout, arguments)
                if round_:
                    found.setdefault((checkout, name), []).append(taken)
    return {
        str(checkout): {
            name: {
                part: round(median(getattr(each, part) for each in found[checkout, name]), 3)
                for part in ("cpu_s", "elapsed_s", "peak_mib")
            }
            for name in subjects
        }
        for checkout in checkouts
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--beside", type=Path, help="another checkout, its scanner built")
    answers_as_json(parser)
    asked = parser.parse_args()
    if asked.calls < 1:
        parser.error(f"--calls must be at least 1, got {asked.calls}")
    checkouts = [_HERE, *([asked.beside.resolve()] if asked.beside else [])]
    with TemporaryDirectory() as folder:
        found = measure(checkouts, asked.calls, Path(folder))
    for checkout, rows in found.items():
        print(checkout, file=sys.stderr)
        for name, row in rows.items():
            print(
                f"  {name:18} cpu {row['cpu_s']:6.2f} s  elapsed {row['elapsed_s']:6.2f} s  peak {row['peak_mib']:5.0f} MiB",
                file=sys.stderr,
            )
    deliver(asked, calls=asked.calls, taken={Path(name).name: rows for name, rows in found.items()}, load=list(os.getloadavg()))


if __name__ == "__main__":
    main()
