"""The key that a node signs its models with: made at the first start, or given to every node of a cluster, shown to nobody.

`app.store.sqlite` and `app.store.cluster` read it when they open a store; `models.registry` signs and checks with it. What nodes tell each
other of it is a fingerprint, by which `app.main` sees at the start whether they hold the same one.
"""

from __future__ import annotations

import logging
import secrets
import stat
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from app.store.folder import write_whole
from features.errors import InvalidSetting
from models.signature import KEY_BYTES

__all__ = ["KEY_FILE", "check_signing", "fingerprint", "signing_key"]

logger = logging.getLogger(__name__)

KEY_FILE = "signing.key"
"""Its name in the data folder."""


def signing_key(folder: Path, named: Path | None = None) -> bytes:
    """Return the key that the settings name, else that of the data folder; where that has none, make one that only this user can read.

    Parameters
    ----------
    folder : Path
        Held by this process.
    named : Path, optional
        The file that several nodes hold alike. It is never made: a key that one node invented would be refused by all others.

    Raises
    ------
    InvalidSetting
        When the file is no key, or the named one is not there.
    """
    path = named or folder / KEY_FILE
    if named is None and not path.exists():
        write_whole(path, secrets.token_bytes(KEY_BYTES))
        logger.info("made the key that models are signed with, %s", path)
    try:
        key, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError as exc:
        raise InvalidSetting(f"setting signing_key: {path}: {exc.strerror or exc}") from exc
    if len(key) != KEY_BYTES:
        raise InvalidSetting(
            f"{path} must hold {KEY_BYTES} bytes, got {len(key)}; put the key of your backup there, or remove the file: "
            "then a new key is made, and models are trained again from history"
        )
    if sys.platform != "win32" and mode & 0o077:
        logger.warning("others can read %s, mode %o: who has it can make models that are loaded; chmod 600 it", path, mode)
    return key


def fingerprint(key: bytes) -> str:
    """Return what tells one key from another and nothing else of it.

    Examples
    --------
    >>> fingerprint(bytes(32))
    'ee60d58741fd7cb9'
    """
    return sha256(b"foreshock signing key" + key).hexdigest()[:16]


def check_signing(own: str, others: Mapping[str, str], node: str = "this node") -> None:
    """See that the other members of a cluster will load what this node signs, and it what they sign.

    Parameters
    ----------
    own : str
        Fingerprint of this node's key.
    others : Mapping of str to str
        Those of the others that live, by their names; empty for one that tells none.
    node : str
        This node's name.

    Raises
    ------
    InvalidSetting
        When one holds another key.

    Examples
    --------
    >>> check_signing("ab12", {"n1": "ab12", "n2": "ab12"})
    """
    for name, found in sorted(others.items()):
        if found not in ("", own):
            raise InvalidSetting(
                f"setting signing_key: {node} signs models with the key {own}, but {name} with {found} (fingerprints): each would refuse "
                "what the other trains; copy one key file to every node"
            )
