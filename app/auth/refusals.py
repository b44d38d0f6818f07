"""What is raised where somebody may not: `app.api.problems` and `app.ingest` say it in their own words for 401 and 403.

ForeshockError
├── NotAuthenticated      no token that is valid
└── NotAllowed            the token's scopes or tenants do not reach what is asked for
"""

from __future__ import annotations

from features.errors import ForeshockError

__all__ = ["CHALLENGE", "NotAllowed", "NotAuthenticated"]

CHALLENGE = 'Bearer realm="foreshock", Basic realm="foreshock", charset="UTF-8"'
"""``WWW-Authenticate`` of a 401 (RFC 6750, 7617): a token as Bearer, or as the password of Basic, for what can send only that."""


class NotAuthenticated(ForeshockError):
    """No token was shown, or none that is valid."""


class NotAllowed(ForeshockError):
    """The scopes or tenants of the one who asks do not reach what is asked for."""
