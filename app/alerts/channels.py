"""The channels that the settings name, each made of its table; `app.parts` hands them to what sends notices."""

from __future__ import annotations

from collections.abc import Mapping

from app.alerts.alertmanager import Alertmanager
from app.alerts.apprise_channel import AppriseChannel
from app.alerts.contract import Channel
from app.alerts.webhook import Webhook
from app.channel_settings import AlertmanagerSettings, AppriseSettings, SignedWebhookSettings

__all__ = ["channels_of"]


def channels_of(settings: Mapping[str, AlertmanagerSettings | SignedWebhookSettings | AppriseSettings]) -> dict[str, Channel]:
    """Return the channels by their names.

    Parameters
    ----------
    settings : Mapping
        The tables ``[channels.NAME]``.

    Raises
    ------
    InvalidSetting
        When something that one of them names cannot be used.
    """
    return {name: _channel(name, table) for name, table in settings.items()}


def _channel(name: str, table: AlertmanagerSettings | SignedWebhookSettings | AppriseSettings) -> Channel:
    match table:
        case AlertmanagerSettings():
            return Alertmanager(name, table)
        case SignedWebhookSettings():
            return Webhook(name, table)
        case AppriseSettings():
            return AppriseChannel(name, table)
