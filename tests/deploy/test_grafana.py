"""The files for Grafana and Prometheus: what they ask for exists, and a real Prometheus can be asked it.

No Grafana runs here, so its side is a strict model of the parts that are used (`tests.deploy.grafana`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from app.exports.exposition import FAMILIES
from app.telemetry import Telemetry
from docs.generate import openapi
from tests.deploy.grafana import (
    FOLDER,
    ApiTarget,
    Dashboard,
    DataSources,
    InfinitySource,
    Place,
    PromTarget,
    Providers,
    QueryVariable,
    SourceVariable,
    dashboards,
    provisioned,
)
from tests.deploy.samples import DEPLOY
from tests.monitors import prometheus

NAMES = ("foreshock-nodes.json", "foreshock-risk.json", "foreshock-why.json")
ADDED = {"instance", "job", "le"}  # labels that Prometheus and histograms add
BUILT_IN = {"__rate_interval"}
SELECTOR = re.compile(r"(foreshock_\w+)(?:\{([^}]*)\})?")


@pytest.fixture(params=NAMES)
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    return dashboards()[request.param]


def expressions(dashboard: Dashboard) -> list[str]:
    """Return the queries of panels and variables in PromQL."""
    found = [target.expr for panel in dashboard.panels for target in panel.targets if isinstance(target, PromTarget)]
    for variable in dashboard.templating.variables:
        if isinstance(variable, QueryVariable):
            values = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.query.query)
            assert values is not None
            found.append(f"count by ({values[2]}) ({values[1]})")
    return found


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def labels_of() -> dict[str, set[str]]:
    """Return the labels of every time series that `/metrics` can show, by its name."""
    found = {name: set(labels) for name, (_, labels) in FAMILIES.items()}
    for metric in vars(Telemetry()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            labels = set(metric._labelnames)  # pyright: ignore[reportPrivateUsage]  # the client offers no public list of labels
            found |= {family.name + suffix: labels for suffix in suffixes}
    return found


def test_every_file_is_one_that_the_model_knows() -> None:
    assert tuple(dashboards()) == NAMES
    assert [f"{one.uid}.json" for one in dashboards().values()] == list(NAMES)
    sources = DataSources.model_validate(provisioned("datasources"))
    assert {source.type for source in sources.datasources} == {"prometheus", "yesoreyeram-infinity-datasource"}
    (provider,) = Providers.model_validate(provisioned("dashboards")).providers
    assert f"/grafana/dashboards:{provider.options.path}:ro" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_panels_stand_beside_each_other(dashboard: Dashboard) -> None:
    places = [panel.grid_pos for panel in dashboard.panels]
    assert all(place.x + place.w <= 24 for place in places)
    assert len({panel.id for panel in dashboard.panels}) == len(places)

    def apart(one: Place, other: Place) -> bool:
        beside = one.x + one.w <= other.x or other.x + other.w <= one.x
        return beside or one.y + one.h <= other.y or other.y + other.h <= one.y

    assert all(apart(one, other) for n, one in enumerate(places) for other in places[:n])


def test_variables_and_data_sources_that_are_used_are_declared(dashboard: Dashboard) -> None:
    declared = {variable.name for variable in dashboard.templating.variables}
    sources = {f"${{{v.name}}}": v.query for v in dashboard.templating.variables if isinstance(v, SourceVariable)}
    for panel in dashboard.panels:
        for target in panel.targets:
            assert sources[target.datasource.uid] == target.datasource.type == panel.datasource.type
        assert len({target.ref_id for target in panel.targets}) == len(panel.targets)
    used = {name for text in expressions(dashboard) for name in re.findall(r"\$(\w+)", text)}
    assert used - BUILT_IN <= declared
    assert declared - used == {uid.strip("${}") for uid in sources}, "and no other is declared"


def test_every_metric_exists_with_the_labels_that_are_named() -> None:
    known = labels_of()
    asked = [text for one in dashboards().values() for text in expressions(one)]
    asked += [
        str(rule["expr"]).replace("service:foreshock_incident_probability:max", "foreshock_incident_probability")
        for rule in rules()
    ]
    assert len(asked) > 25
    for text in asked:
        metrics = SELECTOR.findall(text)
        assert metrics
        allowed = ADDED.union(*(known[name] for name, _ in metrics))
        for name, matchers in metrics:
            assert set(re.findall(r"(\w+)=", matchers)) <= known[name] | ADDED, text
        for grouped in re.findall(r"(?:by|on|without) \(([^)]*)\)", text):
            assert set(re.split(r", ?", grouped)) <= allowed, text


def test_legends_name_labels_that_the_query_leaves(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for target in panel.targets:
            if isinstance(target, PromTarget):
                left = {name for group in re.findall(r"by \(([^)]*)\)", target.expr) for name in re.split(r", ?", group)}
                assert set(re.findall(r"\{\{(\w+)\}\}", target.legend_format)) <= left, target.expr


def test_routes_parameters_and_columns_are_those_of_the_api() -> None:
    document = openapi()
    targets = [t for one in dashboards().values() for panel in one.panels for t in panel.targets if isinstance(t, ApiTarget)]
    assert len(targets) > 4
    for target in targets:
        operation = document["paths"][target.url]["get"]
        parameters = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        for given in target.url_options.params:
            allowed = parameters[given.key].get("enum")
            assert allowed is None or given.value in allowed
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        for column in target.columns:
            leaves = list(reached(document, schema, [target.root_selector, "0", *column.selector.split(".")]))
            kinds = {"string": {"string"}, "number": {"number", "integer"}, "timestamp": {"date-time"}}[column.type]
            assert {leaf.get("format", leaf.get("type")) for leaf in leaves} <= kinds, f"{target.url} {column.selector}"
            assert leaves, f"{target.url} has no {column.selector}"
        assert not list(reached(document, schema, [target.root_selector, "0", "nothing"]))


def test_why_has_a_table_of_everything_that_somebody_on_call_asks_for() -> None:
    panels = dashboards()["foreshock-why.json"].panels
    shown = {
        target.url.removeprefix("/api/v1/"): target
        for panel in panels
        for target in panel.targets
        if isinstance(target, ApiTarget)
    }
    assert set(shown) == {
        "predictions",
        "alerts",
        "groups",
        "incidents",
        "anomalies",
        "hotspots",
        "errors",
        "services",
        "nodes",
    }
    times = {name: [column for column in target.columns if column.type == "timestamp"] for name, target in shown.items()}
    for name in ("alerts", "groups", "hotspots"):
        assert len(times[name]) > 1, f"{name} say since when, and as of when"


def reached(document: dict[str, Any], schema: dict[str, Any], path: list[str]) -> Iterator[dict[str, Any]]:
    """Iterate over the schemas that a path of members and places leads to; null leads nowhere."""
    if "$ref" in schema:
        yield from reached(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], path)
        return
    for one in schema.get("anyOf", ()):
        yield from reached(document, one, path)
    if not path:
        if schema.get("type") not in (None, "null"):
            yield schema
        return
    first, rest = path[0], path[1:]
    if schema.get("type") == "array" and first.isdigit():
        yield from reached(document, schema["items"], rest)
    elif first in schema.get("properties", {}):
        yield from reached(document, schema["properties"][first], rest)
    elif first in schema.get("propertyNames", {}).get("enum", ()):
        yield from reached(document, schema["additionalProperties"], rest)


def test_the_tenant_is_named_by_the_header_that_the_api_reads() -> None:
    (source,) = [s for s in DataSources.model_validate(provisioned("datasources")).datasources if isinstance(s, InfinitySource)]
    parameters = openapi()["paths"]["/api/v1/predictions"]["get"]["parameters"]
    assert source.json_data.http_header_name1.lower() in {p["name"].lower() for p in parameters if p["in"] == "header"}
    assert source.json_data.allowed_hosts == [source.url]


@pytest.mark.system("prometheus")
def test_a_real_prometheus_takes_the_configuration_and_every_query(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    with prometheus(tmp_path, (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")) as address:
        loaded = json.loads(httpx.get(f"{address}/api/v1/rules").text)["data"]["groups"]
        assert [rule["name"] for group in loaded for rule in group["rules"]] == [r.get("record") or r["alert"] for r in rules()]
        for text in [text for one in dashboards().values() for text in expressions(one)]:
            query = re.sub(r"\$\w+", "5m", text)
            answer = httpx.get(f"{address}/api/v1/query", params={"query": query})
            assert answer.status_code == 200, f"{query}: {answer.text}"
