"""Reads of a service's prediction beside model servers that answer with the same ensemble, and beside our own way without the cache.

    python -m benchmarks.serve --setup
    python -m benchmarks.serve [--rounds 10] [--seconds 1.5] [--seed 1] [--json] [--out FILE] [--data DIR]

`--setup` makes `build/mlserver` and `build/bentoml`: environments with MLServer 1.7.1 and BentoML 1.4.40, and of all that the ensemble
needs the versions that run here. They take no part in the lock: MLServer's pins exclude ours.

A run makes a day of the demonstration's shop and its champion (or takes those of `--data`), and starts the servers, each a process of
its own on loopback with one worker, and `OMP_NUM_THREADS=1`:

- `foreshock`: `foreshock serve`, all of it, ticks included; `GET /api/v1/predictions/{service}` is a precomputed answer;
- `foreshock routed`: the same, asked with a header that comes twice, so that it takes the framework's way and not the short one;
- `mlserver`, `bentoml`: the champion's artifact behind each one's own HTTP route, one row of features a request; MLServer twice, as it
  is set by default (the model in a worker of its own) and with the model in the process that answers;
- `uncached row`: the same in a bare ASGI application on the server that Foreshock uses;
- `uncached`: that, with the row's features built anew for each request.

In every round, each number of connections is tried with each server, one after the other, by the same client (`benchmarks.serve_load`),
which checks what every answer says. What is told is the median over rounds, and the ratio to MLServer (the better of both) with its range
over rounds, in answers a second and in answers for the same processor time: where others use the host, the second is steadier. The
gain over MLServer is one of caching, and `uncached` says how much of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from app.demo.ports import free_ports
from app.members import subjects_of
from benchmarks.answers import answers_as_json, deliver
from benchmarks.processes import cpu_s
from benchmarks.serve_ensemble import ARTIFACT, predicted
from benchmarks.serve_load import Outcome, Plan, Request
from benchmarks.serve_report import MLSERVERS, Cell, reduced, table
from benchmarks.serve_uncached import TENANT, opened
from features.extract import extract
from features.series import WHOLE
from models.hazard import cumulate

__all__ = ["Server", "Subject", "main", "measure"]

CONNECTIONS = (1, 16, 64)
PEERS = {"mlserver": "1.7.1", "bentoml": "1.4.40"}
_BESIDE = {"mlserver": ["uvloop==0.21.0"]}  # the workers of 1.7.1 do not start with a later one
_SHARED = ("scikit-learn", "numpy", "scipy", "joblib", "river", "msgspec")
_WARM_S = 0.5
_START_S = 300.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and what to ask it.

    Parameters
    ----------
    name : str
        Of the table.
    process : subprocess.Popen
        It, with all that it started.
    port : int
        On loopback.
    requests : list of Request
        One for each service.
    """

    name: str
    process: subprocess.Popen[bytes]
    port: int
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Subject:
    """A data folder with a champion, and what is expected of it.

    Parameters
    ----------
    data : Path
        The folder.
    model : str
        The champion's version.
    artifact : Path
        Its ensemble.
    rows : dict
        By service, its features, what the ensemble says of them, and what is served.
    """

    data: Path
    model: str
    artifact: Path
    rows: dict[str, tuple[list[float], list[float], list[float]]]

    @classmethod
    def of(cls, data: Path) -> Subject:
        """Read a folder."""
        with closing(opened(data)) as node:
            champion = node.registry(TENANT).champion()
            members, memory = node.worker.flow.learners.of(TENANT), node.worker.flow.memory
            assert champion is not None
            assert members.champion is not None
            x = extract(memory)
            rows: dict[str, tuple[list[float], list[float], list[float]]] = {}
            for row, key in enumerate(memory.directory.keys):
                if key.operation == WHOLE:
                    said = list(predicted(members.champion.ensemble, x[row].tolist()).values())
                    served = cumulate(members.forecast(x[[row]], subjects_of(members, memory, memory.directory.whole[[row]])))
                    rows[key.service] = x[row].tolist(), said, served[0].tolist()
            blob = data / "blobs" / champion.sha256[:2] / champion.sha256[2:]
            return cls(data, champion.id, blob, rows)


def _get(path: str, header: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n{header}\r\n"


def _post(path: str, body: object) -> str:
    text = msgspec.json.encode(body).decode()
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\ncontent-type: application/json\r\n"
        f"content-length: {len(text)}\r\n\r\n{text}"
    )


def _v2(row: Sequence[float]) -> dict[str, Any]:
    return {"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": "FP32", "data": row}]}


def _started(command: Sequence[str | Path], folder: Path, name: str, **environment: str | Path) -> subprocess.Popen[bytes]:
    told = {key: str(value) for key, value in environment.items()}
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT), "BENTOML_DO_NOT_TRACK": "True"} | told
    with (folder / f"{name}.log").open("wb") as log:
        words = [str(word) for word in command]
        return subprocess.Popen(words, env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def _foreshock(subject: Subject, folder: Path) -> list[Server]:
    ports = dict(zip(("API_PORT", "OTLP_HTTP_PORT", "OTLP_GRPC_PORT"), free_ports(3), strict=True))
    told = {f"FORESHOCK_SERVER__{name}": str(port) for name, port in ports.items()}
    process = _started([sys.executable, "-m", "app.cli", "serve", "--data", subject.data], folder, "foreshock", **told)
    found: list[Server] = []
    for server, header in (("foreshock", ""), ("foreshock routed", f"x-scope-orgid: {TENANT}\r\n" * 2)):
        paths = {name: f"/api/v1/predictions/{name}" for name in subject.rows}
        requests = [Request(_get(path, header), name, subject.model) for name, path in paths.items()]
        found.append(Server(server, process, ports["API_PORT"], requests))
    return found


def _mlserver(subject: Subject, folder: Path, bin_folder: Path, name: str, workers: int) -> Server:
    http, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "debug": False}
    model = {"name": "ensemble", "implementation": "benchmarks.serve_mlserver.EnsembleRuntime"}
    models = folder / f"{name} model"
    models.mkdir()
    (models / "settings.json").write_bytes(msgspec.json.encode(settings | {"parallel_workers": workers}))
    (models / "model-settings.json").write_bytes(msgspec.json.encode(model))
    process = _started([bin_folder / "mlserver", "start", models], folder, name, **{ARTIFACT: subject.artifact})
    requests = [
        Request(_post("/v2/models/ensemble/infer", _v2(row)), probabilities=said) for row, said, _ in subject.rows.values()
    ]
    return Server(name, process, http, requests)


def _bentoml(subject: Subject, folder: Path, bin_folder: Path) -> Server:
    (port,) = free_ports(1)
    command = [bin_folder / "bentoml", "serve", "benchmarks.serve_bentoml:EnsembleBento", "--host", "127.0.0.1", "--port"]
    told: dict[str, str | Path] = {ARTIFACT: subject.artifact, "BENTOML_HOME": folder / "bentoml home"}
    process = _started([*command, str(port), "--working-dir", _ROOT], folder, "bentoml", **told)
    requests = [Request(_post("/predict", {"row": row}), probabilities=said) for row, said, _ in subject.rows.values()]
    return Server("bentoml", process, port, requests)


def _uncached(subject: Subject, folder: Path) -> list[Server]:
    (port,) = free_ports(1)
    copy = folder / "data-uncached"  # a folder belongs to one process
    shutil.copytree(subject.data, copy)
    process = _started([sys.executable, "-m", "benchmarks.serve_uncached", copy, str(port)], folder, "uncached")
    rows = [Request(_post("/row", {"row": row}), probabilities=said) for row, said, _ in subject.rows.values()]
    whole = [Request(_get(f"/extract/{name}"), probabilities=served) for name, (_, _, served) in subject.rows.items()]
    return [Server("uncached row", process, port, rows), Server("uncached", process, port, whole)]


@contextmanager
def _running(subject: Subject, folder: Path, asked: argparse.Namespace) -> Generator[list[Server]]:
    """Start the servers, and stop them in any case; each has answered once when this begins."""
    servers: list[Server] = []
    try:
        servers += _uncached(subject, folder)
        servers += _foreshock(subject, folder)
        servers += [_mlserver(subject, folder, asked.mlserver, name, n) for name, n in MLSERVERS.items()]
        servers.append(_bentoml(subject, folder, asked.bentoml))
        for server in servers:
            _until_ready(server, folder)
        yield servers
    finally:
        for process in {server.process for server in servers}:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and whatever of its processes does not end by itself."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _until_ready(server: Server, folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            if server.name != "foreshock" or b" 0 offsets behind" in _body(server.port, "/readyz?verbose"):
                _measured(server, Plan(server.port, 1, 0.0, 0.5, server.requests))
                return
        except (OSError, RuntimeError) as exc:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{server.name} does not answer as it should; its log is in {folder}") from exc
        time.sleep(0.5)


def _body(port: int, path: str) -> bytes:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else b""


def _measured(server: Server, plan: Plan) -> tuple[Outcome, float]:
    """Run the client once; return what came of it and the CPU seconds of the server meanwhile, the warming up included."""
    before = cpu_s(server.process.pid)
    command = [sys.executable, "-m", "benchmarks.serve_load"]
    done = subprocess.run(command, input=msgspec.json.encode(plan), capture_output=True, check=False, cwd=_ROOT)
    if done.returncode:
        raise RuntimeError(f"{server.name} with {plan.connections} connections: {done.stderr.decode().strip()[-1000:]}")
    return msgspec.json.decode(done.stdout, type=Outcome), cpu_s(server.process.pid) - before


def measure(servers: Sequence[Server], rounds: int, seconds: float) -> list[Cell]:
    """Return every cell; within a round the servers take turns, in another order each time."""
    cells: list[Cell] = []
    for number in range(rounds):
        for connections in CONNECTIONS:
            for i in range(len(servers)):
                server = servers[(i + number) % len(servers)]
                plan = Plan(server.port, connections, _WARM_S, seconds, server.requests)
                outcome, cpu = _measured(server, plan)
                share = seconds / (seconds + _WARM_S)
                cell = Cell(
                    server.name,
                    connections,
                    number,
                    outcome.answers / seconds,
                    outcome.p50_s * 1e3,
                    outcome.p99_s * 1e3,
                    cpu * share / max(outcome.answers, 1) * 1e6,
                )
                cells.append(cell)
                print(cell, file=sys.stderr, flush=True)
    return cells


def _set_up() -> None:
    """Make the environments of the model servers."""
    shared = [f"{name}=={version(name)}" for name in _SHARED]
    for name, release in PEERS.items():
        folder = _ROOT / "build" / name
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            f"{name}=={release}",
            *shared,
            *_BESIDE.get(name, []),
        ]
        subprocess.run(install, check=True)


def _made(folder: Path, seed: int) -> Path:
    data = folder / "data"
    command = [sys.executable, "-m", "app.cli", "demo", "--no-live", "--days", "1", "--seed", str(seed), "--json"]
    with (folder / "demo.log").open("wb") as log:
        subprocess.run([*command, "--data", data], check=True, stdout=log, stderr=log, cwd=_ROOT)
    return data


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="make the environments of the model servers, and end")
    parser.add_argument("--rounds", type=int, default=10, help="how often everything is tried")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each cell, after half a second of warming up")
    parser.add_argument("--data", type=Path, help="a data folder with a champion instead of a new shop")
    for name in PEERS:
        parser.add_argument(f"--{name}", type=Path, default=_ROOT / "build" / name / "bin", help=f"folder of {name}'s programs")
    answers_as_json(parser)
    asked = parser.parse_args()
    if asked.setup:
        _set_up()
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subject = Subject.of(asked.data or _made(folder, asked.seed))
        with _running(subject, folder, asked) as servers:
            cells = measure(servers, asked.rounds, asked.seconds)
    rows = reduced(cells)
    if not asked.json:
        print(table(rows))
    deliver(
        asked,
        rows=rows,
        cells=[asdict(cell) for cell in cells],
        services=len(subject.rows),
        features=len(next(iter(subject.rows.values()))[0]),
        peers=PEERS,
    )


if __name__ == "__main__":
    main()
