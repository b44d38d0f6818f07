"""The service as the container runs it: a user without rights, a root that cannot be written, and one folder for data and one for temporary files.

There is no container engine here, so the kernel's own means stand in for one: a mount namespace in which everything is remounted read-only, and
`setpriv`, which drops the user, all capabilities and the way back to them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.app.ingest.requests import a_span, as_json, traces
from tests.cluster.servers import free_port
from tests.deploy.samples import compose
from tests.house.sources import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system("unshare", "setpriv", "mount"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a mount namespace and give its rights away"),
]

USER = "10001"
PLACE = "/srv"
"""Where the two folders are mounted, in the namespace alone."""

CLOSED = next((str(path) for path in reversed(Path(sys.base_prefix).parents) if not path.stat().st_mode & stat.S_IXOTH), "")
"""A folder above the interpreter that other users may not enter, such as root's home; nothing where there is none."""

CONFINED = rf"""
set -eu
mount --make-rprivate /
if [ -n "{CLOSED}" ]; then
  mount --bind "{sys.base_prefix}" "$1/python"
  mount -t tmpfs -o mode=755 tmpfs "{CLOSED}"
  mkdir -p "{sys.base_prefix}"
  mount --bind "$1/python" "{sys.base_prefix}"
  umount "$1/python"
fi
mount --bind "$1" {PLACE}
for at in $(cut -d ' ' -f 5 /proc/self/mountinfo | sort -u); do
  case $at in {PLACE}|/proc|/proc/*|/sys|/sys/*|/dev|/dev/*) ;; *) mount -o remount,ro,bind "$at" 2>/dev/null || true ;; esac
done
shift
exec setpriv --reuid {USER} --regid {USER} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


@dataclass(frozen=True)
class Sandbox:
    """A folder that alone can be written from within."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", CONFINED, "sh", str(self.folder), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
        return given | {"HOME": f"{PLACE}/data", "TMPDIR": f"{PLACE}/tmp", "FORESHOCK_DATA": f"{PLACE}/data"}

    def run(self, *arguments: str, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def python(self, text: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", text)

    def foreshock(self, *arguments: str) -> Sequence[str]:
        return sys.executable, "-m", "app.cli", *arguments


@pytest.fixture(scope="module")
def sandbox() -> Generator[Sandbox]:
    """Below /var/tmp: pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        (Path(name) / "python").mkdir()
        for part in ("data", "tmp"):
            (Path(name) / part).mkdir(mode=0o700)
            shutil.chown(Path(name) / part, int(USER), int(USER))
        Path(name).chmod(0o755)
        found = Sandbox(Path(name))
        if found.run("true").returncode:
            pytest.skip("this kernel lets nobody make a mount namespace here")
        if found.python("import app.cli").returncode:
            pytest.skip("the repository or its packages lie where other users may not read")
        yield found


def test_the_sandbox_is_as_tight_as_the_samples_ask(sandbox: Sandbox) -> None:
    """Whoever cannot write anywhere shows nothing by not writing."""
    tried = [
        "/",
        "/etc",
        sys.base_prefix,
        sys.prefix,
        "/var/tmp",
        "/tmp",
        str(ROOT),
        str(ROOT / "app"),
        PLACE,
        f"{PLACE}/data",
        f"{PLACE}/tmp",
    ]
    said = sandbox.python(
        f"""
import json, os, pathlib
written = []
for folder in {tried!r}:
    try:
        path = pathlib.Path(folder) / ".written"; path.touch(); path.unlink(); written.append(folder)
    except OSError as exc:
        pass
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([written, os.getuid(), os.getgroups(), status["CapEff"].strip(), status["CapBnd"].strip(), status["NoNewPrivs"].strip()]))
"""
    )
    assert said.returncode == 0, said.stderr
    written, user, groups, effective, bounding, no_new = json.loads(said.stdout)
    assert written == [f"{PLACE}/data", f"{PLACE}/tmp"]
    assert (user, groups, int(effective, 16), int(bounding, 16), no_new) == (int(USER), [], 0, 0, "1")
    node = compose()["services"]["fs-1"]
    assert (node["read_only"], node["tmpfs"], node["cap_drop"]) == (True, ["/tmp"], ["ALL"])


def test_it_ingests_trains_and_serves_and_writes_below_its_data_alone(sandbox: Sandbox) -> None:
    demo = sandbox.run(
        *sandbox.foreshock("demo", "--no-live", "--days", "0.5", "--seed", "1", "--data", f"{PLACE}/data", "--json")
    )
    assert demo.returncode == 0, demo.stderr[-2000:]
    trained = sandbox.run(*sandbox.foreshock("train", "--json"))
    assert trained.returncode == 0, trained.stderr[-2000:]
    version = json.loads(trained.stdout)["model_version"]
    ports = {name: free_port() for name in ("OTLP_HTTP_PORT", "OTLP_GRPC_PORT", "API_PORT")}
    environment = sandbox.environment | {f"FORESHOCK_SERVER__{name}": str(port) for name, port in ports.items()}
    log = sandbox.folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            sandbox.command(*sandbox.foreshock("serve")), env=environment, cwd="/", stdout=out, stderr=out
        )
        try:
            api = f"http://127.0.0.1:{ports['API_PORT']}"
            deadline = time.monotonic() + 120
            while not answers(f"{api}/readyz"):
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            now = time.time_ns()
            span = a_span(startTimeUnixNano=str(now - 10**7), endTimeUnixNano=str(now), status={"code": 2})
            body = as_json(traces(span, service="confined"))
            sent = httpx.post(
                f"http://127.0.0.1:{ports['OTLP_HTTP_PORT']}/v1/traces",
                content=body,
                headers={"content-type": "application/json"},
            )
            assert sent.status_code == 200
            assert version in {one["id"] for one in httpx.get(f"{api}/api/v1/models").json()["items"]}
            assert "foreshock_records_total" in httpx.get(f"{api}/metrics").text
            if httpx.get(api, follow_redirects=True).status_code >= 500:
                raise AssertionError("the dashboard needs a place to write")
        finally:
            process.terminate()
            assert process.wait(60) == 0, log.read_text(encoding="utf-8")
    said = demo.stderr + trained.stderr + log.read_text(encoding="utf-8")
    assert "Read-only" not in said
    assert "Traceback" not in said
    below = {path.name for path in (sandbox.folder / "data").iterdir()}
    assert {"store.db", "blobs", "history", "signing.key"} <= below
    assert {path.name for path in sandbox.folder.iterdir()} == {"data", "tmp", "python", "log"}
    assert {path.stat().st_uid for path in (sandbox.folder / "data").rglob("*")} == {int(USER)}


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
