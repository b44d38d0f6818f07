"""The parts of Grafana's files that ours use, strictly: a member that is not here, or of another type, is an error.

Dashboards are of schema version 39 (Grafana 10.4 and later read it).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tests.deploy.samples import DEPLOY

__all__ = ["FOLDER", "ApiTarget", "Dashboard", "DataSources", "Panel", "PromTarget", "Providers", "dashboards", "provisioned"]

FOLDER = DEPLOY / "grafana"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Source(Part):
    type: Literal["prometheus", "yesoreyeram-infinity-datasource"]
    uid: str = Field(pattern=r"^\$\{\w+\}$")


class Place(Part):
    h: int = Field(ge=1)
    w: int = Field(ge=1, le=24)
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)


class PromTarget(Part):
    ref_id: str = Field(pattern=r"^[A-Z]$")
    datasource: Source
    expr: str = Field(min_length=1)
    legend_format: str
    range: bool
    instant: bool
    format: Literal["table", "time_series"] | None = None


class Column(Part):
    selector: str
    text: str
    type: Literal["string", "number", "timestamp"]


class Parameter(Part):
    key: str
    value: str


class Asked(Part):
    method: Literal["GET"]
    data: Literal[""]
    params: list[Parameter]


class ApiTarget(Part):
    ref_id: str = Field(pattern=r"^[A-Z]$")
    datasource: Source
    type: Literal["json"]
    source: Literal["url"]
    format: Literal["table"]
    parser: Literal["backend"]
    root_selector: str = Field(alias="root_selector")
    url: str = Field(pattern=r"^/")
    url_options: Asked = Field(alias="url_options")
    columns: list[Column] = Field(min_length=1)
    filters: list[str] = Field(max_length=0)


class Step(Part):
    color: Literal["green", "orange", "red"]
    value: float | None


class Thresholds(Part):
    mode: Literal["absolute"]
    steps: list[Step] = Field(min_length=1)


class Color(Part):
    mode: Literal["thresholds"]


class Drawn(Part):
    line_width: int
    fill_opacity: int
    span_nulls: bool
    show_points: Literal["never", "auto", "always"]


Unit = Literal["short", "percentunit", "s", "bytes", "cps", "reqps"]


class Defaults(Part):
    unit: Unit | None = None
    min: float | None = None
    max: float | None = None
    thresholds: Thresholds | None = None
    color: Color | None = None
    custom: Drawn | None = None


class Matcher(Part):
    id: Literal["byName"]
    options: str


class UnitProperty(Part):
    id: Literal["unit"]
    value: Unit


class HiddenProperty(Part):
    id: Literal["custom.hidden"]
    value: bool


class Override(Part):
    matcher: Matcher
    properties: list[Annotated[UnitProperty | HiddenProperty, Field(discriminator="id")]]


class FieldConfig(Part):
    defaults: Defaults
    overrides: list[Override]


class Reduced(Part):
    calcs: list[Literal["lastNotNull"]]
    fields: Literal[""]
    values: bool


class StatOptions(Part):
    reduce_options: Reduced
    color_mode: Literal["value"]
    graph_mode: Literal["none", "area"]
    text_mode: Literal["auto"]


class BarOptions(Part):
    reduce_options: Reduced
    orientation: Literal["horizontal"]
    display_mode: Literal["gradient"]
    value_mode: Literal["color"]
    show_unfilled: bool


class Sorted(Part):
    display_name: str
    desc: bool


class TableOptions(Part):
    show_header: bool
    sort_by: list[Sorted]


class Legend(Part):
    display_mode: Literal["table", "list"]
    placement: Literal["bottom", "right"]
    show_legend: bool
    calcs: list[Literal["lastNotNull", "max"]]


class Tooltip(Part):
    mode: Literal["multi", "single"]
    sort: Literal["desc", "none"]


class GraphOptions(Part):
    legend: Legend
    tooltip: Tooltip


class _Panel(Part):
    id: int = Field(ge=1)
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    grid_pos: Place
    datasource: Source
    targets: list[PromTarget | ApiTarget] = Field(min_length=1)
    field_config: FieldConfig


class StatPanel(_Panel):
    type: Literal["stat"]
    options: StatOptions


class BarPanel(_Panel):
    type: Literal["bargauge"]
    options: BarOptions


class TablePanel(_Panel):
    type: Literal["table"]
    options: TableOptions


class GraphPanel(_Panel):
    type: Literal["timeseries"]
    options: GraphOptions


Panel = Annotated[StatPanel | BarPanel | TablePanel | GraphPanel, Field(discriminator="type")]


class _Variable(Part):
    name: str = Field(pattern=r"^\w+$")
    label: str
    hide: Literal[0]


class SourceVariable(_Variable):
    type: Literal["datasource"]
    query: Literal["prometheus", "yesoreyeram-infinity-datasource"]


class LabelQuery(Part):
    query: str
    ref_id: str


class QueryVariable(_Variable):
    type: Literal["query"]
    datasource: Source
    query: LabelQuery
    definition: str
    refresh: Literal[2]
    sort: Literal[1]
    multi: bool
    include_all: bool
    all_value: Literal[".*"] | None = None


class Choice(Part):
    text: str
    value: str


class Choosable(Choice):
    selected: bool


class CustomVariable(_Variable):
    type: Literal["custom"]
    query: str
    multi: bool
    include_all: bool
    current: Choice
    options: list[Choosable]


class Templating(Part):
    variables: list[Annotated[SourceVariable | QueryVariable | CustomVariable, Field(discriminator="type")]] = Field(
        alias="list"
    )


class Link(Part):
    title: str
    type: Literal["dashboards"]
    tags: list[str]
    as_dropdown: bool
    include_vars: bool
    keep_time: bool


class Annotations(Part):
    entries: list[str] = Field(alias="list", max_length=0)


class Span(Part):
    from_: str = Field(alias="from", pattern=r"^now-\d+[mhd]$")
    to: Literal["now"]


class Dashboard(Part):
    uid: str = Field(pattern=r"^foreshock-[a-z]+$", max_length=40)
    title: str
    description: str
    tags: list[str]
    timezone: Literal["browser"]
    schema_version: Literal[39]
    version: int
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    refresh: str
    time: Span
    links: list[Link]
    templating: Templating
    annotations: Annotations
    panels: list[Panel] = Field(min_length=1)


class PrometheusOptions(Part):
    http_method: Literal["POST"]
    time_interval: str


class InfinityOptions(Part):
    auth_method: Literal["none"] = Field(alias="auth_method")
    allowed_hosts: list[str]
    http_header_name1: str
    timeout_in_seconds: int


class InfinitySecrets(Part):
    http_header_value1: str


class _Source(Part):
    name: str
    uid: str = Field(pattern=r"^[a-z\-]+$", max_length=40)
    access: Literal["proxy"]
    url: str
    editable: bool


class PrometheusSource(_Source):
    type: Literal["prometheus"]
    json_data: PrometheusOptions


class InfinitySource(_Source):
    type: Literal["yesoreyeram-infinity-datasource"]
    json_data: InfinityOptions
    secure_json_data: InfinitySecrets


class DataSources(Part):
    api_version: Literal[1]
    datasources: list[Annotated[PrometheusSource | InfinitySource, Field(discriminator="type")]]


class ProviderOptions(Part):
    path: str = Field(pattern=r"^/")
    folders_from_files_structure: bool


class Provider(Part):
    name: str
    folder: str
    type: Literal["file"]
    disable_deletion: bool
    allow_ui_updates: bool
    update_interval_seconds: int
    options: ProviderOptions


class Providers(Part):
    api_version: Literal[1]
    providers: list[Provider]


@cache
def dashboards() -> dict[str, Dashboard]:
    """Return the dashboards by the name of their file."""
    paths = sorted((FOLDER / "dashboards").glob("*.json"))
    return {path.name: Dashboard.model_validate(json.loads(path.read_text(encoding="utf-8"))) for path in paths}


def provisioned(kind: Literal["dashboards", "datasources"]) -> object:
    """Return what a file of `provisioning` holds."""
    path: Path = FOLDER / "provisioning" / kind / "foreshock.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))
