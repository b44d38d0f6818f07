"""What `/metrics` says of services, and what a real Prometheus makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.exports.exposition import FAMILIES, Exposition
from tests.api_builders import a_prediction
from tests.app.exports.shop import forecast
from tests.app.exports.test_chances import Buckets
from tests.house.sources import ROOT
from tests.monitors import prometheus
from tests.nodes import run_node, until


def samples(there: Buckets, most: int = 9) -> dict[str, dict[tuple[str, ...], float]]:
    """Return values by metric and by the values of its labels."""
    registry = CollectorRegistry()
    registry.register(Exposition(there.chances, most))
    families = {family.name: family for family in registry.collect()}
    assert families.keys() == FAMILIES.keys()
    for name, family in families.items():
        assert all(set(sample.labels) == set(FAMILIES[name][1]) for sample in family.samples)
    return {name: {tuple(s.labels.values()): s.value for s in family.samples} for name, family in families.items()}


def test_each_horizon_is_a_series_and_the_status_says_why_there_is_none() -> None:
    there = Buckets()
    there.predict(a_prediction("cart", risk=0.6))
    there.predict(replace(a_prediction("new", risk=0.5), status="warming_up"))
    there.predict(replace(a_prediction("broken", risk=0.5), status="in_incident"))
    there.clock.move(60)
    found = samples(there)
    assert found["foreshock_incident_probability"] == {
        ("default", "cart", "5min"): 0.15,
        ("default", "cart", "15min"): 0.3,
        ("default", "cart", "60min"): 0.6,
    }
    assert set(found["foreshock_service_status"]) == {
        ("default", "broken", "in_incident"),
        ("default", "cart", "ok"),
        ("default", "new", "warming_up"),
    }
    assert found["foreshock_prediction_age_seconds"] == {(): 60.0}
    assert found["foreshock_services_left_out"] == {("limit",): 0.0, ("stale",): 0.0}


def test_the_limit_leaves_out_the_least_risky_and_counts_them() -> None:
    there = Buckets()
    for n in range(5):
        there.predict(a_prediction(f"s{n}", risk=n / 5))
    found = samples(there, most=2)
    assert {service for _, service, _ in found["foreshock_incident_probability"]} == {"s3", "s4"}
    assert found["foreshock_services_left_out"]["limit",] == 3.0


def test_nothing_is_shown_where_nothing_holds() -> None:
    there = Buckets()
    there.predict(a_prediction("cart"))
    there.clock.move(121)
    found = samples(there)
    assert found["foreshock_incident_probability"] == found["foreshock_prediction_age_seconds"] == {}


CONFIG = """
global: {{scrape_interval: 200ms}}
scrape_configs: [{{job_name: foreshock, static_configs: [{{targets: ["{target}"]}}]}}]
rule_files: [{rules}]
"""


@pytest.mark.system("prometheus")
def test_a_real_prometheus_reads_a_node_and_records_its_probabilities(tmp_path: Path) -> None:
    sample = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(sample.replace("  - name: foreshock", "  - name: foreshock\n    interval: 200ms"))
    with run_node(tmp_path / "data") as running:
        wanted = forecast(running)
        config = CONFIG.format(target=running.served.api.removeprefix("http://"), rules=tmp_path / "rules.yml")
        with prometheus(tmp_path, config) as address:
            found: dict[str, float] = {}

            def recorded() -> bool:
                query = {"query": 'service:foreshock_incident_probability:max{tenant="default",service="cart"}'}
                answer = json.loads(httpx.get(f"{address}/api/v1/query", params=query).text)
                found.update({row["metric"]["horizon"]: float(row["value"][1]) for row in answer["data"]["result"]})
                return found.keys() == wanted.keys()

            until(recorded, "the recording rule")
            assert found == pytest.approx(wanted)
