"""Real nats-servers for tests, from the wheel that brings the binary."""

from __future__ import annotations

import atexit
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["Accounts"]

BINARY = Path(sys.executable).parent / "nats-server"
_ACCOUNTS = 600


class Accounts:
    """One server with many accounts, each of which is an empty cluster of its own."""

    def __init__(self) -> None:
        self.folder = TemporaryDirectory()
        self.port = _free_port()
        names = [f"a{n}" for n in range(_ACCOUNTS)]
        accounts = "\n".join(f"  {name} {{ users: [{{user: {name}, password: {name}}}], jetstream: enabled }}" for name in names)
        config = Path(self.folder.name) / "server.conf"
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\nmax_payload: 8MB\n"
            f'jetstream {{ store_dir: "{self.folder.name}/data", sync_interval: always }}\naccounts {{\n{accounts}\n}}\n'
        )
        log = Path(self.folder.name) / "log"
        self.process = subprocess.Popen([BINARY, "-c", config, "-l", log])
        atexit.register(self.close)
        self._free = itertools.count()
        self._of: dict[Path, str] = {}
        _until_listening(self.port)

    def connect(self, folder: Path) -> dict[str, object]:
        """Return options of a connection to the account that stands for a folder."""
        name = self._of.setdefault(folder, f"a{next(self._free)}")
        return {"servers": f"nats://127.0.0.1:{self.port}", "user": name, "password": name}

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"no server listens on port {port}")
