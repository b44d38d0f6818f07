"""A real object store that speaks S3 for tests: SeaweedFS, from the wheel that brings the binary."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

from tests.cluster.servers import free_port
from tests.ending import at_end

__all__ = ["BINARY", "ObjectStore", "object_store"]

BINARY = Path(sys.executable).parent / "weed"
_KEY, _SECRET = "tests", "a-secret-of-the-tests"
_STARTED_S = 60.0


class ObjectStore:
    """One server on this machine, which can be killed and started again."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        self._grpc = {name: free_port() for name in self._ports}
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        credentials = [{"accessKey": _KEY, "secretKey": _SECRET}]
        identities = [{"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]
        (Path(self._folder.name) / "s3.json").write_text(json.dumps({"identities": identities}))
        at_end(self.close)
        self.start()

    @property
    def options(self) -> dict[str, str]:
        """Options of a connection."""
        return {
            "aws_access_key_id": _KEY,
            "aws_secret_access_key": _SECRET,
            "aws_region": "us-east-1",
            "aws_endpoint_url": f"http://127.0.0.1:{self._ports['s3']}",
            "aws_allow_http": "true",
        }

    def place(self) -> str:
        """Return a URL under which nothing is; the bucket is made by the first write."""
        return f"s3://history/{next(self._numbers)}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        folder = Path(self._folder.name)
        command: list[str | Path] = [
            BINARY,
            "-logtostderr=true",
            "server",
            "-filer",
            "-s3",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
        ]
        for name, port in self._ports.items():
            command += [f"-{name}.port={port}", f"-{name}.port.grpc={self._grpc[name]}"]
        command += [f"-{name}.localSocket={folder / name}.sock" for name in ("filer", "s3")]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}", f"-dir={folder}"]
        command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=50", "-master.electionTimeout=1s"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        deadline = time.monotonic() + _STARTED_S
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.1)
        raise TimeoutError(f"the object store did not start: {(folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill it with no chance to say farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Kill it and remove what it kept."""
        self.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        """Return whether it takes an object and gives it back; its parts find each other one after the other."""
        endpoint = f"127.0.0.1:{self._ports['s3']}"
        try:
            store = S3FileSystem(
                access_key=_KEY, secret_key=_SECRET, region="us-east-1", endpoint_override=endpoint, scheme="http",
                allow_bucket_creation=True, connect_timeout=2.0, request_timeout=5.0, retry_strategy=AwsStandardS3RetryStrategy(1),
            )  # fmt: skip
            store.create_dir("history")
            with store.open_output_stream("history/probe") as probe:
                probe.write(b"there")
            with store.open_input_file("history/probe") as probe:
                return bool(probe.read() == b"there")
        except OSError:
            return False


@cache
def object_store() -> ObjectStore:
    """Return the one that all tests of a process share."""
    return ObjectStore()
