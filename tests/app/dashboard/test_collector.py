"""The configuration that newcomers paste is YAML that a Collector reads, with the address of the node."""

from __future__ import annotations

from dataclasses import replace

import yaml

from app.dashboard.collector import configuration, empty, first_steps
from tests.app.dashboard.sources import sources_of
from tests.nodes import RunningNode


def test_it_is_yaml_whose_pipelines_name_what_is_defined() -> None:
    for tenant in ("default", "team-a"):
        read = yaml.safe_load(configuration("http://10.0.0.1:4318", tenant, "default"))
        exporter = read["exporters"]["otlphttp/foreshock"]
        assert exporter["endpoint"] == "http://10.0.0.1:4318"
        assert exporter.get("headers", {}).get("X-Scope-OrgID", "default") == tenant
        assert set(read["service"]["pipelines"]) == {"traces", "metrics", "logs"}
        for pipeline in read["service"]["pipelines"].values():
            assert set(pipeline["receivers"]) <= set(read["receivers"])
            assert set(pipeline["exporters"]) <= set(read["exporters"])


def test_a_node_that_takes_nothing_in_names_the_role_that_does(shop: RunningNode) -> None:
    sources = sources_of(shop)
    assert sources.otlp_http in first_steps(sources, "default")
    assert "a-node-with-the-role-ingest" in first_steps(replace(sources, otlp_http="", otlp_grpc=""), "default")
    assert empty("Nothing", "<b>") == '<section class="panel empty"><h2>Nothing</h2><p class="soft">&lt;b&gt;</p></section>'
