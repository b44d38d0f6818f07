"""What people on call do with alerts, as requests to the REST API: the one place of the dashboard that knows these routes."""

from __future__ import annotations

from datetime import datetime, timedelta
from glob import escape
from urllib.parse import quote

from app.dashboard.rest import Rest
from features.errors import InvalidValue

__all__ = ["acknowledge", "end_silence", "silence"]

_MOST_MINUTES = 43_200  # a month; guessed: who is silent for longer wants another rule


async def acknowledge(rest: Rest, alert: str, who: str) -> str:
    """Say that somebody looks after an alert."""
    await rest.post(f"/alerts/{quote(alert, safe='')}:acknowledge", {"who": who or "unknown"})
    return "Acknowledged."


async def silence(rest: Rest, service: str, minutes: str, now: datetime, said: tuple[str, str]) -> str:
    """Keep all alerts of a service quiet for a while, and of no other that its name would fit as a pattern; `said` is who does it and why."""
    try:
        length = min(max(int(float(minutes or 60)), 1), _MOST_MINUTES)
    except (ValueError, OverflowError):
        raise InvalidValue(f"minutes must be a number in [1, {_MOST_MINUTES}], got {minutes!r}") from None
    who, why = said
    await rest.post(
        "/silences",
        {
            "matchers": [{"label": "service", "pattern": escape(service)}],
            "start": now.isoformat(),
            "end": (now + timedelta(minutes=length)).isoformat(),
            "author": who or "unknown",
            "comment": why,
        },
    )
    return f"Alerts of {service} are silent for {length} min."


async def end_silence(rest: Rest, silence_id: str, who: str) -> str:
    """Let alerts speak again before a silence is over."""
    await rest.delete(f"/silences/{quote(silence_id, safe='')}?who={quote(who or 'unknown', safe='')}")
    return "The silence is over."
