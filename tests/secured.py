"""A node that demands tokens and speaks TLS, with the shop's dashboard, in a process of its own: NiceGUI is one for a process.

``python -m tests.secured FOLDER`` prints one line of JSON, where it is and which tokens open it, and runs until its input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from app.auth import ANYONE, Scope, Tokens, Wanted
from tests.dashboard_seed import seed
from tests.nodes import run_node

__all__ = ["SCOPES", "Secured", "secured"]

SCOPES = {
    "reader": ([Scope.READ], ["default"]),
    "trainer": ([Scope.READ, Scope.FEEDBACK, Scope.TRAIN], ["*"]),
    "sender": ([Scope.INGEST], ["*"]),
}
"""What the tokens of the node may do, by their names."""


@dataclass(frozen=True, slots=True)
class Secured:
    """Where the node is, and the tokens by name."""

    api: str
    otlp_http: str
    otlp_grpc: str
    tokens: dict[str, str]


@contextmanager
def secured(folder: Path, **overrides: Any) -> Generator[Secured]:
    """Run one."""
    command = [sys.executable, "-m", "tests.secured", str(folder), json.dumps(overrides)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the node did not start"
        try:
            yield Secured(**json.loads(line))
        finally:
            process.communicate(timeout=120)


def _main(folder: Path, overrides: dict[str, Any]) -> None:
    leaf = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = folder / "tls.pem", folder / "tls.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    tls = {"certificate": certificate, "key": key}
    given: dict[str, Any] = {"dashboard__enabled": True, "security__require_tokens": True, "security__tls": tls, **overrides}
    with run_node(folder / "data", **given) as running:
        seed(running.node, datetime.now(UTC))
        tokens = Tokens(running.node.store.documents, lambda: datetime.now(UTC))
        made = {name: tokens.add(Wanted(name, *may), ANYONE).text for name, may in SCOPES.items()}
        served = running.served
        print(json.dumps({"api": served.api, "otlp_http": served.otlp_http, "otlp_grpc": served.otlp_grpc, "tokens": made}))
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
