"""Which pages may send from a browser: the headers that a preflight and an answer carry, as the Fetch standard has them.

`app.ingest.http` asks here when settings name origins; without any, nothing is allowed and nothing said.
"""

from __future__ import annotations

import re

from app.settings import IngestSettings

__all__ = ["Cors"]

Headers = tuple[tuple[bytes, bytes], ...]

_ALWAYS = ("content-type", "content-encoding", "authorization", "x-scope-orgid")
_VARY = (b"vary", b"origin")


class Cors:
    """What pages of other origins may do.

    Parameters
    ----------
    settings : IngestSettings
        The origins, where ``*`` stands for any characters, the headers, credentials and the age of a preflight.

    Examples
    --------
    >>> cors = Cors(IngestSettings(cors_origins=("https://*.example.com",)))
    >>> cors.allows("https://shop.example.com"), cors.allows("https://example.org")
    (True, False)
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._origins = [re.compile(".*".join(map(re.escape, origin.split("*")))) for origin in settings.cors_origins]
        self._credentials = settings.cors_credentials
        names = dict.fromkeys((*_ALWAYS, *(name.lower() for name in settings.cors_headers)))
        self._preflight: Headers = (
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", ", ".join(names).encode("latin-1")),
            (b"access-control-max-age", str(settings.cors_max_age_s).encode()),
        )

    @property
    def is_on(self) -> bool:
        """Whether any origin may send."""
        return bool(self._origins)

    def allows(self, origin: str) -> bool:
        """Return whether pages of an origin may send."""
        return any(pattern.fullmatch(origin) for pattern in self._origins)

    def of_answer(self, origin: str) -> Headers:
        """Return the headers of an answer, also of an error, to a page of an origin.

        The origin is echoed rather than ``*``, since a browser takes no ``*`` for a request with credentials.
        """
        if not self.is_on:
            return ()
        if not self.allows(origin):
            return (_VARY,)  # a cache must not hand an answer for one origin to another
        found: Headers = (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"retry-after"),
            _VARY,
        )
        return (*found, (b"access-control-allow-credentials", b"true")) if self._credentials else found

    def of_preflight(self, origin: str) -> Headers:
        """Return the headers that answer a preflight of an allowed origin."""
        return (*self.of_answer(origin), *self._preflight)
