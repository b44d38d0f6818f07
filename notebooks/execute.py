"""Execute every notebook against a live service of the demonstration's shop, as `make notebooks` does.

    python notebooks/execute.py [--out FOLDER] [NOTEBOOK ...]

`foreshock demo` is started over a folder of its own with a day and a half of history; when its predictions are of the present, each notebook runs with
`FORESHOCK_URL` and `FORESHOCK_TABLES` set to it. A notebook that raises ends the run with its error. What they showed is written to the
folder that ``--out`` names, for people to look at; the notebooks themselves are kept without outputs, which is checked here too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import nbformat
from nbclient import NotebookClient

from app.client import Foreshock
from app.demo.beside import beside

FOLDER = Path(__file__).resolve().parent
_READY_S = 1200.0
_CELL_S = 900
_FRESH = timedelta(minutes=3)


@contextmanager
def shop(folder: Path, days: float) -> Generator[Mapping[str, str]]:
    """Run the demonstration, and give what its notebooks need to know of it."""
    log = folder.with_suffix(".log")
    with beside(log, "demo", "--days", str(days), "--data", str(folder)) as (process, url):
        _wait_until_live(url, process, log)
        yield {"FORESHOCK_URL": url, "FORESHOCK_TABLES": str(folder / "history")}


def _wait_until_live(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the demonstration ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            answer = httpx.get(f"{url}/readyz")
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.is_success:
            with Foreshock(url) as client:
                newest = client.predictions(operations="whole", limit=1)
            if len(newest) and newest["as_of"].iloc[0] > datetime.now(UTC) - _FRESH:
                return
        time.sleep(1.0)
    raise SystemExit(f"the demonstration was not live within {_READY_S:.0f} s:\n{log.read_text()[-2000:]}")


def execute(path: Path, environment: Mapping[str, str], out: Path | None) -> None:
    """Run a notebook in the repository's folder; its first failing cell raises."""
    book = nbformat.read(path, as_version=4)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells):
        raise SystemExit(f"{path.name} holds outputs: clear them before you commit")
    os.environ.update(environment)
    NotebookClient(book, timeout=_CELL_S, resources={"metadata": {"path": str(FOLDER.parent)}}).execute()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, out / path.name)


def main() -> None:
    """Execute the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the notebooks with what they showed")
    parser.add_argument("--days", type=float, default=1.5, help="history of the shop")
    asked = parser.parse_args()
    books = asked.notebooks or sorted(FOLDER.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as folder, shop(Path(folder) / "shop", asked.days) as environment:
        for path in books:
            begun = time.monotonic()
            execute(path, environment, asked.out)
            print(f"{path.name}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
