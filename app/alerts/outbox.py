"""The outbox: what is to be told of alerts, derived from their states, and who has it.

An alert's document is written first, and says all: `wanted` makes of it what the bucket ``notices`` should hold, as
often as it is asked. So a process that dies between the two leaves nothing out. `app.alerts.sender` sends what is
`due`, and notes who has it afterwards; one that dies in between sends it again, with the same key and state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from app.alerts.contract import Notice
from app.cache.alert_records import AlertRecord, DeliveryRecord, NoticeRecord

__all__ = ["annotations_of", "delivered", "due", "link_of", "notice_of", "wanted"]

_KEPT_QUIET = frozenset({"silenced", "inhibited"})


def wanted(alert: AlertRecord, kept: NoticeRecord | None, channels: tuple[str, ...], link: str) -> NoticeRecord | None:
    """Return what the outbox should hold of an alert, None where nothing is to be changed.

    Parameters
    ----------
    alert : AlertRecord
        As it is kept.
    kept : NoticeRecord or None
        What the outbox holds of it.
    channels : tuple of str
        Who is to be told of the alerts of its route.
    link : str
        Where more is to be read of it, see `link_of`; empty for none.
    """
    if kept is None or _is_of_another(kept, alert):
        if alert.shadow or alert.state != "firing" or not channels:
            return None
        return NoticeRecord(
            id=alert.id,
            tenant=alert.tenant,
            page=alert.page or alert.id,
            channels=channels,
            seq=1 if kept is None else kept.seq + 1,
            firing=True,
            labels=alert.labels,
            annotations=annotations_of(alert),
            starts_at=alert.fired_at or alert.started_at,
            link=link,
            delivered={} if kept is None else kept.delivered,
        )
    if kept.firing and alert.over:
        return replace(kept, seq=kept.seq + 1, firing=False, ends_at=alert.ended_at, annotations=annotations_of(alert))
    return None


def _is_of_another(kept: NoticeRecord, alert: AlertRecord) -> bool:
    """Return whether a notice is of an earlier alert, that was forgotten before somebody had its end, so that its id came again."""
    return kept.ends_at is not None and alert.fired_at is not None and alert.fired_at > kept.ends_at


def link_of(alert: AlertRecord, url: str, dashboard: bool) -> str:
    """Return where more is to be read of an alert.

    Parameters
    ----------
    alert : AlertRecord
        Which.
    url : str
        Where the port of REST is reached, empty where nobody said: then there is no link.
    dashboard : bool
        Whether there are pages for people; without, REST answers with the alert.
    """
    if not url:
        return ""
    if dashboard:
        return f"{url.rstrip('/')}/alerts?{urlencode({'alert': alert.id, 'tenant': alert.tenant})}"
    return f"{url.rstrip('/')}/api/v1/alerts/{quote(alert.id, safe='')}"


def annotations_of(alert: AlertRecord) -> dict[str, str]:
    """Return what may change of an alert, in words."""
    where = alert.service if alert.operation == "*" else f"{alert.service} {alert.operation}"
    reasons = alert.reasons
    if alert.probability is None:
        summary = f"{where}: {reasons[0] if reasons else alert.rule}"
        reasons = reasons[1:]
    else:
        summary = f"{where}: an incident is likely to begin within {alert.horizon} ({alert.probability:.0%})"
    told = {
        "summary": summary,
        "description": "; ".join(reasons),
        "threshold": f"{alert.threshold:.3g}",
        "value": f"{alert.value:.3g}",
        "group_id": alert.group_id or "",
    }
    if alert.probability is not None:
        told |= {"probability": f"{alert.probability:.3f}", "horizon": alert.horizon or ""}
    return {name: text for name, text in told.items() if text}


def due(kept: NoticeRecord, alert: AlertRecord | None, channel: str, now: datetime, resend_s: float | None) -> bool:
    """Return whether a channel is to be told something now.

    Parameters
    ----------
    kept : NoticeRecord
        What the outbox holds.
    alert : AlertRecord or None
        As it is kept now: what somebody has acknowledged since, or silenced, is told to nobody.
    channel : str
        Who.
    now : datetime
        Aware.
    resend_s : float or None
        Seconds after which a receiver that forgets is told again; such a one is told of an acknowledged alert too, as
        it would take it for over.
    """
    if channel not in kept.channels:
        return False
    last = kept.delivered.get(channel)
    has_it = last is not None and last.seq >= kept.seq
    if not kept.firing:
        return not has_it
    if alert is None or alert.over or not alert.active or alert.state in _KEPT_QUIET:
        return False
    if last is not None and has_it:
        # Also where the clock was set back since: to wait until it is that late again would let the receiver take it for over.
        forgets = resend_s is not None and abs(now - last.at) >= timedelta(seconds=resend_s)
        return forgets and not last.refused
    return alert.state == "firing"


def notice_of(kept: NoticeRecord, alert: AlertRecord | None) -> Notice:
    """Return a notice as channels send it, with what is known of the alert now."""
    return Notice(
        key=kept.id,
        firing=kept.firing,
        labels=kept.labels,
        annotations=kept.annotations if alert is None else annotations_of(alert),
        starts_at=kept.starts_at,
        ends_at=kept.ends_at,
        link=kept.link,
    )


def delivered(kept: NoticeRecord, channel: str, seq: int, at: datetime, refused: str = "") -> NoticeRecord:
    """Return a notice that a channel's receiver has, or will never take; what it was told later stays."""
    last = kept.delivered.get(channel)
    if last is not None and last.seq > seq:
        return kept
    changed: Mapping[str, DeliveryRecord] = {**kept.delivered, channel: DeliveryRecord(seq, at, refused)}
    return replace(kept, delivered=changed)
