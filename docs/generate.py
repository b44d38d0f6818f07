"""Render the reference pages that must never drift from the code: settings, metrics, kinds of error, REST routes, commands.

Reads the fields of `app.settings`, the registry of `app.telemetry`, the table of `features.taxonomy` and the OpenAPI
document of `app.api`. ``python docs/generate.py`` writes the pages, ``--check`` fails when a committed page differs; a
test in `tests/house` does the same.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from app.api.application import create_api
from app.api.parts import ApiParts
from app.cache.member_records import Nodes
from app.cli import app as cli
from app.exports.exposition import FAMILIES
from app.setting_topics import render_topics
from app.settings import Settings, StoreSettings
from app.store.sqlite import open_store
from app.telemetry import Telemetry
from features.recovery import advise
from features.taxonomy import CATEGORIES, KINDS, UNKNOWN
from models.registry import Registry

__all__ = [
    "PAGES",
    "openapi",
    "render_commands",
    "render_kinds",
    "render_metrics",
    "render_routes",
    "render_settings",
    "setting_names",
    "stale_pages",
]

DOCS = Path(__file__).resolve().parent
BOUNDS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "min_length": "at least {} characters",
    "max_length": "at most {} characters",
}
INFINITE = "any"


def _bounds(field: FieldInfo) -> str:
    parts: list[str] = []
    for constraint in field.metadata:
        parts += [
            text.format(getattr(constraint, name))
            for name, text in BOUNDS.items()
            if getattr(constraint, name, None) is not None
        ]
        pattern = getattr(constraint, "pattern", None)
        parts += [f"matches `{pattern}`"] if pattern else []
    text = ", ".join(parts) or INFINITE
    return text.replace("characters", "entries") if get_origin(field.annotation) is tuple else text


def _type_name(annotation: Any) -> str:
    return (
        annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("pathlib.", "").replace("typing.", "")
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """Return the models of which a setting holds tables by name, in their order; none where it holds plain values."""
    named, *_ = get_args(annotation)[1:] or (None,)
    kinds = get_args(get_args(named)[0]) if get_args(named) else (named,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _rows(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        variable = "FORESHOCK_" + "__".join((*path, name)).upper()
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "required" if field.is_required() else "none" if default is None else f"`{default}`"
        cells = [
            f"`{'.'.join((*path, name))}`<br>`{variable}`",
            "tables by name" if _tables(field.annotation) else f"`{_cell(_type_name(field.annotation))}`",
            shown,
            _cell(_bounds(field)),
            _cell(field.description or ""),
        ]
        yield "| " + " | ".join(cells) + " |"


def _groups(field: FieldInfo, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the group that a setting is and those within it, each with its path; none where it is a value."""
    group = field.annotation
    if isinstance(group, type) and issubclass(group, BaseModel):
        yield path, group
        for name, inner in group.model_fields.items():
            yield from _groups(inner, (*path, name))


def _section(group: type[BaseModel], path: tuple[str, ...], head: list[str]) -> list[str]:
    return ["", f"## `{'.'.join(path)}`", "", _cell(group.__doc__ or ""), "", *head, *_rows(group, path)]


def _kind(table: type[BaseModel]) -> str:
    kind = table.model_fields.get("kind")
    return f'`kind = "{get_args(kind.annotation)[0]}"`' if kind else table.__name__


def setting_names(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the names of all settings, with dots."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, (*path, name))
        else:
            yield ".".join((*path, name))


def render_settings() -> str:
    """Return the page that lists every setting with its unit, default and bounds."""
    head = ["| setting | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    lines = [
        "# Settings",
        "",
        "A setting comes from the environment, else from the TOML file that `--config` names, else from its default. Options of",
        "the command line win over all three. In TOML a group is a table (`[server]`); in the environment its name is followed by",
        "two underscores. Everything is checked at the start: a value out of bounds stops it with a line that names the setting.",
        "",
        *render_topics(setting_names()),
        "",
        "## Top level",
        "",
        _cell(Settings.__doc__ or ""),
        "",
        *head,
        *_rows(Settings, ()),
    ]
    for name, field in Settings.model_fields.items():
        lines += [line for path, group in _groups(field, (name,)) for line in _section(group, path, head)]
        tables = _tables(field.annotation)
        lines += ["", f"## `{name}.NAME`"] if tables else []
        for table in tables:
            rows = list(_rows(table, (name, "NAME")))
            lines += ["", f"### {_kind(table)}", "", _cell(table.__doc__ or ""), "", *head, *rows]
    return "\n".join(lines) + "\n"


def _collected(telemetry: Telemetry) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    by_name = {
        metric._name: metric._labelnames  # pyright: ignore[reportPrivateUsage]  # the client offers no public list of labels
        for metric in vars(telemetry).values()
        if isinstance(metric, MetricWrapperBase)
    }
    for metric in sorted(telemetry.registry.collect(), key=lambda metric: metric.name):
        yield metric, tuple(by_name.get(metric.name, ()))


def render_metrics() -> str:
    """Return the page that lists every metric with its type, labels and meaning."""
    lines = [
        "# Metrics",
        "",
        "Foreshock reports on itself at `/metrics` in the Prometheus text format, on the same port as the API. Units are base units:",
        "seconds and bytes. The probabilities of services are there too, on nodes with the role `api`: see",
        "[Notifications](notifications.md#probabilities-as-metrics).",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    shown = [(metric.name, metric.type, labels, metric.documentation) for metric, labels in _collected(Telemetry())]
    shown += [(name, "gauge", labels, meaning) for name, (meaning, labels) in FAMILIES.items()]
    for found, kind, labels, meaning in sorted(shown):
        name = f"{found}_total" if kind == "counter" else found
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or 'none'} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def render_kinds() -> str:
    """Return the page that lists every category with its kinds of error and what to do about them."""
    lines = [
        "# Kinds of error",
        "",
        f"The {len(CATEGORIES)} categories and the {len(KINDS)} kinds below them. [Errors](errors.md) says how an error gets its kind.",
        "Severity is the OpenTelemetry number that a kind has where the sender gives none; a failing span counts as at least 17.",
        "The delays of a retry are common defaults: they were guessed, not measured.",
    ]
    for category in (*CATEGORIES, UNKNOWN):
        lines += [
            "",
            f"## {category}",
            "",
            "| kind | what happened | severity | retryable | transient | the same request again | now |",
            "|---|---|---|---|---|---|---|",
        ]
        for kind in KINDS.values():
            if kind.category == category:
                advice = advise(kind.name)
                flags = ("yes" if flag else "no" for flag in (kind.retryable, kind.transient))
                cells = (f"`{kind.name}`", kind.summary, str(kind.severity), *flags, advice.retry.text, advice.now)
                lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the REST API, made over an empty store."""

    def now() -> datetime:
        return datetime.now(UTC)

    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder), settings=StoreSettings(), max_in_flight_bytes=2**20, now=now) as store,
    ):
        parts = ApiParts(
            store.documents,
            Telemetry(),
            now,
            new_id=lambda: "",
            start_training=lambda request: request.reason,
            start_backtest=lambda request: request.reason,
            registry_of=lambda tenant: Registry(store.blobs, store.documents, store.signing_key, tenant),
            nodes=lambda: Nodes(1, ()),
        )
        app = create_api(parts)
        try:
            return app.openapi()
        finally:
            app.state.cache.close()


def _parameters(operation: dict[str, Any]) -> str:
    shown = [f"`{p['name']}`" for p in operation.get("parameters", ()) if p["in"] == "query"]
    shown += [
        f"`{p['name']}` (header)"
        for p in operation.get("parameters", ())
        if p["in"] == "header" and p["name"] != "X-Scope-OrgID"
    ]
    return ", ".join(shown) or "none"


def render_routes() -> str:
    """Return the page that lists every route of the REST API with its parameters and answers."""
    lines = [
        "# Routes",
        "",
        "Every route of the API's port. [REST](rest.md) shows one answer of each; the OpenAPI document at `/api/v1/openapi.json` has",
        "all members. Routes under `/api/v1` take the tenant from the header `X-Scope-OrgID`.",
        "",
        "| route | what it answers | parameters beside the path | status |",
        "|---|---|---|---|",
    ]
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            status = next(code for code in operation["responses"] if code.startswith("2"))
            lines.append(
                f"| `{method.upper()} {path}` | {_cell(operation.get('summary', ''))} | {_parameters(operation)} | {status} |"
            )
    return "\n".join(lines) + "\n"


def _commands(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}{'...' if parameter.nargs != 1 else ''}`"
    kind = parameter.type_descriptor.annotation
    shown = "" if kind is bool else f"`{_cell(_type_name(kind))}`"
    default = "required" if parameter.required else "none" if parameter.default in {None, ()} else f"`{parameter.default}`"
    return f"| {names} | {shown} | {default} | {_cell(getattr(parameter, 'help', None) or '')} |"


def render_commands() -> str:
    """Return the page that lists every command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        "Every command of `foreshock`. A user's mistake ends with one line on standard error and exit code 2. `--json` prints one object, for",
        "programs. `foreshock COMMAND --help` shows the same.",
    ]
    for words, command in _commands(get_command(cli), ("foreshock",)):
        parameters = [parameter for parameter in command.params if parameter.name != "help"]
        lines += ["", f"## `{words}`", "", _paragraphs(command.help or "")]
        if parameters:
            lines += ["", "| argument or option | kind | default | meaning |", "|---|---|---|---|"]
            lines += [_option(parameter) for parameter in parameters]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(_cell(paragraph) for paragraph in inspect.cleandoc(text).split("\n\n"))


PAGES = {
    "commands.md": render_commands,
    "kinds.md": render_kinds,
    "metrics.md": render_metrics,
    "routes.md": render_routes,
    "settings.md": render_settings,
}
"""What renders each generated page of `docs/`."""


def stale_pages() -> list[str]:
    """Return the names of the committed pages that the code no longer renders as they stand."""
    return [
        name
        for name, render in PAGES.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != render()
    ]


def main(arguments: list[str]) -> None:
    """Write the pages, or with ``--check`` fail when one is stale."""
    if arguments == ["--check"]:
        stale = stale_pages()
        if stale:
            raise SystemExit(f"docs/ is behind the code: {', '.join(stale)}; run `.venv/bin/python docs/generate.py`")
        return
    for name, render in PAGES.items():
        (DOCS / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
