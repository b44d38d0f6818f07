"""The key that a node signs its models with: made at the first start, kept in the data folder, shown to nobody.

`app.store.sqlite` reads it when it opens the folder; `models.registry` signs and checks with it.
"""

from __future__ import annotations

import logging
import secrets
import stat
import sys
from pathlib import Path

from app.store.folder import write_whole
from features.errors import InvalidSetting
from models.signature import KEY_BYTES

__all__ = ["KEY_FILE", "signing_key"]

logger = logging.getLogger(__name__)

KEY_FILE = "signing.key"
"""Its name in the data folder."""


def signing_key(folder: Path) -> bytes:
    """Return the key of a data folder; where there is none, make one that only this user can read.

    Parameters
    ----------
    folder : Path
        Held by this process.

    Raises
    ------
    InvalidSetting
        When the file is no key.
    """
    path = folder / KEY_FILE
    if not path.exists():
        write_whole(path, secrets.token_bytes(KEY_BYTES))
        logger.info("made the key that models are signed with, %s", path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise InvalidSetting(
            f"{path} must hold {KEY_BYTES} bytes, got {len(key)}; put the key of your backup there, or remove the file: "
            "then a new key is made, and models are trained again from history"
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        logger.warning("others can read %s, mode %o: who has it can make models that are loaded; chmod 600 it", path, mode)
    return key
