"""What a node does: takes telemetry in, works on it, answers over REST, or all of that.

`app.settings` checks what is asked for, `app.main` starts it, and `/readyz` looks after it alone.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from features.errors import InvalidSetting

__all__ = ["ROLES", "Roles"]

ROLES = ("ingest", "worker", "api")
"""Names of the roles."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a node.

    Parameters
    ----------
    ingest : bool
        Whether it listens for OTLP.
    worker : bool
        Whether it forecasts, writes the clock's ticks and trains when there is a reason.
    api : bool
        Whether it answers over REST and trains when it is asked to.
    """

    ingest: bool = True
    worker: bool = True
    api: bool = True

    @classmethod
    def of(cls, text: str) -> Roles:
        """Return the roles of a comma-separated list.

        Raises
        ------
        InvalidSetting
            When it names none, or what is no role.

        Examples
        --------
        >>> Roles.of("api, ingest")
        Roles(ingest=True, worker=False, api=True)
        >>> str(Roles.of("api, ingest"))
        'ingest,api'
        """
        named = {name.strip() for name in text.split(",")}
        if not named <= set(ROLES):
            raise InvalidSetting(f"setting roles: must be one or more of {','.join(ROLES)}, got {text!r}")
        return cls(*(role in named for role in ROLES))

    @property
    def all(self) -> bool:
        """Whether it does everything."""
        return all(astuple(self))

    def __str__(self) -> str:
        return ",".join(role for role, has in zip(ROLES, astuple(self), strict=True) if has)
