"""Who runs a command, as the audit log and models say it."""

from __future__ import annotations

import os
from getpass import getuser

__all__ = ["operator"]


def operator() -> str:
    """Return the name of the system's user; where the system has none for it, as in a container, its number.

    Examples
    --------
    >>> bool(operator())
    True
    """
    try:
        return getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"user {os.getuid()}"
