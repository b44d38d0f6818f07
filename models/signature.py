"""The signature under a model version's entry in the manifest: who has no key can enter nothing that would be unpickled.

`models.registry` signs what it adds and checks what it loads; the key comes from `app.store.signing`.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

from features.errors import InvalidValue, UntrustedArtifact

__all__ = ["KEY_BYTES", "check_signature", "signed"]

KEY_BYTES = 32
"""Bytes of a key: as many as the hash has, as RFC 2104 advises."""

_MEMBER = "signature"
_WAY_OUT = "train again from history with `foreshock train` or POST /api/v1/training-runs"


def signed(document: bytes, key: bytes, tenant: str) -> bytes:
    """Return a JSON document with its signature as one more member.

    Parameters
    ----------
    document : bytes
        A JSON object.
    key : bytes
        `KEY_BYTES` secret bytes.
    tenant : str
        Whose document it is; the signature holds for no other tenant.

    References
    ----------
    Krawczyk, Bellare, Canetti (1997), HMAC: keyed-hashing for message authentication, RFC 2104.

    Examples
    --------
    >>> key = bytes(32)
    >>> entry = signed(b'{"id": "v1"}', key, "default")
    >>> check_signature(entry, key, "default", "v1")
    >>> check_signature(entry.replace(b"v1", b"v2"), key, "default", "v2")
    Traceback (most recent call last):
    features.errors.UntrustedArtifact: the signature of model 'v2' is not of this node's key: ...
    """
    top = {name: value for name, value in json.loads(document).items() if name != _MEMBER}
    return json.dumps({**top, _MEMBER: _mac(top, key, tenant)}, sort_keys=True).encode()


def check_signature(document: bytes, key: bytes, tenant: str, version_id: str) -> None:
    """Refuse a document that was not signed with a key for a tenant.

    Parameters
    ----------
    document : bytes
        From `signed`, or from somebody else.
    key, tenant
        As for `signed`.
    version_id : str
        Of which version it is, for the words.

    Raises
    ------
    UntrustedArtifact
        When it has no signature or another one.
    """
    try:
        top = dict(json.loads(document))
    except (ValueError, TypeError) as exc:
        raise UntrustedArtifact(f"the entry of model {version_id!r} is no JSON object; {_WAY_OUT}") from exc
    found = top.pop(_MEMBER, None)
    if found is None:
        raise UntrustedArtifact(f"model {version_id!r} is not signed: an earlier release made it, or somebody else; {_WAY_OUT}")
    if not hmac.compare_digest(str(found).encode(), _mac(top, key, tenant).encode()):
        raise UntrustedArtifact(
            f"the signature of model {version_id!r} is not of this node's key: its entry was changed, or the key is another one; "
            f"put the key back, or {_WAY_OUT}"
        )


def _mac(top: dict[str, object], key: bytes, tenant: str) -> str:
    """Sign what the document says, whatever the order and spaces of its JSON; members that this release does not know count too."""
    if len(key) != KEY_BYTES:
        raise InvalidValue(f"a signing key must have {KEY_BYTES} bytes, got {len(key)}")
    said = json.dumps(["foreshock model version", tenant, top], sort_keys=True)
    return hmac.new(key, said.encode(), sha256).hexdigest()
