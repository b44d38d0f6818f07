"""Settings of a cluster say by themselves what cannot be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.cluster_settings import ClusterSettings


def test_a_time_to_live_must_be_longer_than_three_heartbeats() -> None:
    assert ClusterSettings(heartbeat_s=0.5, ttl_s=1.6).ttl_s == 1.6
    with pytest.raises(ValidationError, match=r"three times heartbeat_s \(0.5\)"):
        ClusterSettings(heartbeat_s=0.5, ttl_s=1.5)


def test_what_no_setting_is_called_is_refused() -> None:
    with pytest.raises(ValidationError, match="heartbeats"):
        ClusterSettings.model_validate({"heartbeats": 1.0})
