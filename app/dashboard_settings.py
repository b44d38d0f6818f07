"""The settings of the dashboard; `app.settings` holds them as a group."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["DashboardSettings"]


class DashboardSettings(BaseModel):
    """Pages for people on the API's port."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    enabled: bool = True
    """Whether nodes with the role `api` show pages under `/`. Off saves what docs/measurements.md says of start and memory; REST is the same either way."""
