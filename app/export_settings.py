"""Settings of what Foreshock gives out as metrics: the probabilities of services, for Prometheus to read and for a Collector to be sent.

`app.settings` holds them, `app.parts` hands them to `app.exports`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.channel_settings import checked_address, checked_headers

__all__ = ["ExportSettings"]


class ExportSettings(BaseModel):
    """Probabilities of whole services as metrics of other systems."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    max_series: int = Field(default=1000, ge=0, le=1_000_000)
    """Services whose probabilities are shown at `/metrics` and sent over OTLP, riskiest first over all tenants; a gauge says how many are left out. Each makes four time series, three horizons and its status, so a thousand are what a small Prometheus takes without notice. 0 shows none; far more than there are services shows all, and costs every reader."""
    otlp_endpoint: str = ""
    """Receiver of OTLP/HTTP that is sent the probabilities of what this node's partitions hold, such as `http://collector:4318`; `/v1/metrics` is added where no path is given. Empty by default, and nothing is sent."""
    otlp_headers: dict[str, SecretStr] = {}
    """Headers to send beside, such as `Authorization`. None by default; their values are never printed."""
    otlp_ca: Path | None = None
    """PEM file of the authority that signed the receiver's certificate. None trusts those that the library `certifi` knows."""
    interval_s: float = Field(default=60.0, ge=1.0, le=3600.0)
    """Seconds between two exports over OTLP. Forecasts come once a tick, so a shorter time sends the same again, with the same times; a longer one leaves some out."""

    _headers = field_validator("otlp_headers")(checked_headers)

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not url:
            return url
        parts = checked_address(url)
        if parts.username is not None:
            raise ValueError("must hold no user name: otlp_headers say who sends")
        return url if parts.path.strip("/") else f"{url.rstrip('/')}/v1/metrics"
