"""How a node is called: as the settings say, else by its machine and a few random characters that its data folder keeps.

`app.main` asks once; `app.membership` refuses a second process of the same name.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.store.folder import write_whole
from features.errors import InvalidSetting

__all__ = ["NODE_FILE", "NODE_ID", "node_id", "software_version"]

NODE_FILE = "node"
"""Its name in the data folder."""

NODE_ID = r"^[A-Za-z0-9_.\-]{1,128}$"
"""What an id may be, as `cluster.node` says."""

_HOST_CHARS = 100  # so that the suffix fits


def node_id(given: str, folder: Path, hostname: Callable[[], str] = socket.gethostname) -> str:
    """Return the id of the node that holds a data folder; without a given one it is made once and kept there.

    Parameters
    ----------
    given : str
        From the settings; empty for none.
    folder : Path
        Held by this process.
    hostname : callable
        Returns the machine's name.

    Raises
    ------
    InvalidSetting
        When the file holds no id.
    """
    if given:
        return given
    path = folder / NODE_FILE
    if not path.exists():
        host = re.sub(r"[^A-Za-z0-9_.\-]", "-", hostname())[:_HOST_CHARS] or "node"
        write_whole(path, f"{host}-{secrets.token_hex(3)}\n".encode())
    found = path.read_text(encoding="utf-8", errors="replace").strip()
    if re.match(NODE_ID, found) is None:
        raise InvalidSetting(
            f"{path} must hold 1 to 128 of A-Z a-z 0-9 _ . -, got {found[:200]!r}; remove it or set cluster.node"
        )
    return found


def software_version() -> str:
    """Return the version of the installed package; empty where it runs without being installed."""
    try:
        return version("foreshock")
    except PackageNotFoundError:
        return ""
