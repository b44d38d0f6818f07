"""The command ``foreshock``: options in, one `Node` and what the command does with it, answers out.

A user's mistake ends with one line on standard error and exit code 2; ``--json`` prints one object.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from app.commands import (
    backtest_command,
    backup_command,
    cluster_command,
    cluster_demo_command,
    demo_command,
    forget_command,
    migrate_command,
    models_command,
    replay_command,
    tokens_command,
    train_command,
)
from app.commands.terminal import TIMES, ConfigOption, JsonOption, answer, bar, console
from app.folder import made
from app.main import Node
from app.operator import operator
from app.own_log import RedactingFormatter, set_up_log
from app.settings import Settings, load_settings
from app.signals import on_stop
from app.tuning import settled_collector
from features.errors import ForeshockError

__all__ = ["app", "main"]

app = typer.Typer(
    name="foreshock",
    help="How likely an error incident is to begin in the next 5, 15 and 60 minutes, why, and what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

models_app = typer.Typer()
app.add_typer(models_app, name="models")
app.add_typer(tokens_command.app, name="tokens")

DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder.")]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose models.")]
VersionArgument = Annotated[str, typer.Argument(help="Id of a version, as `foreshock models list` prints it.")]
WhoOption = Annotated[str | None, typer.Option("--who", help="Who does it; the user of the system by default.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why; kept in the version's history.")]


def main() -> None:
    """Run the command line."""
    set_up_log()
    try:
        app()
    except ForeshockError as exc:
        print(f"foreshock: {RedactingFormatter.redaction.text(str(exc))}", file=sys.stderr)
        sys.exit(2)


@app.command()
def serve(
    config: ConfigOption = None,
    data: DataOption = None,
    host: HostOption = None,
    roles: Annotated[
        str | None, typer.Option("--roles", help="Parts to run, of ingest,worker,api: all by default, fewer on a cluster.")
    ] = None,
) -> None:
    """Listen for OTLP on 4318 and 4317, and serve predictions on 8318."""
    node = Node(load_settings(config, data=data, roles=roles, **{"server.host": host}))
    with closing(node), on_stop(node.request_stop):
        served = node.start()
        if node.roles.ingest:
            console.print(f"OTLP/HTTP  {served.otlp_http}\nOTLP/gRPC  {served.otlp_grpc}")
        console.print(f"REST       {served.api}{'/api/v1/predictions' if node.roles.api else '/readyz'}")
        if served.dashboard:
            console.print(f"Dashboard  {served.dashboard}")
        with settled_collector():
            node.wait()


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(help="OTLP/JSON lines, .gz too, as the Collector's file exporter writes them.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Send to a running service instead, e.g. http://127.0.0.1:4318.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    speed: Annotated[float, typer.Option("--speed", min=0.0, help="Times real time with --to; 0 is as fast as it goes.")] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Send recorded telemetry through the line: into a data folder with event time as the clock, or to a service."""
    with bar(as_json) as progress:
        if to is not None:
            report = replay_command.to_service(files, to, speed, progress)
        else:
            report = replay_command.into_folder(files, _settings(config, data), progress)
    answer(report, as_json)


@app.command()
def train(
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose history.")] = "default",
    as_json: JsonOption = False,
) -> None:
    """Fit a model on the folder's history, score it on held-out time, and let it serve if it earned that."""
    with bar(as_json) as progress:
        report, table = train_command.train(_made(config, data), tenant, progress)
    answer(report, as_json, table)


@app.command()
def backtest(
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose history.")] = "default",
    since: Annotated[datetime | None, typer.Option("--since", formats=TIMES, help="Begin; UTC where no zone is named.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=TIMES, help="End; UTC where no zone is named.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File for a page that a person reads.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say honestly how well the folder's incidents could have been forecast, beside simple baselines."""
    begin, end = (time if time is None or time.tzinfo else time.replace(tzinfo=UTC) for time in (since, until))
    with bar(as_json) as progress:
        report, table = backtest_command.backtest(_made(config, data), tenant, (begin, end), html, progress)
    answer(report, as_json, table)
    if html is not None:
        console.print(f"page: {html}")


@app.command()
def demo(
    config: ConfigOption = None,
    data: DataOption = None,
    host: HostOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides the whole shop.")] = 1,
    days: Annotated[float, typer.Option("--days", min=0.25, max=60, help="Days of history to make.")] = 3.0,
    faults_per_day: Annotated[float, typer.Option("--faults-per-day", min=0.1, max=48, help="Expected faults a day.")] = 24.0,
    live: Annotated[bool, typer.Option("--live/--no-live", help="Go on live after the history.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Simulate a shop: make its history, train, say how the forecasts do, and go on live."""
    plan = demo_command.DemoOptions(seed, days, faults_per_day, live)
    demo_command.run(_settings(config, data, host, demo=True), plan, as_json, console)


@app.command("cluster-demo")
def cluster_demo(
    data: Annotated[Path, typer.Option("--data", help="Folder of everything.")] = Path("data/cluster-demo"),
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=16, help="Nodes to start.")] = 3,
    servers: Annotated[int, typer.Option("--servers", min=1, max=5, help="NATS servers to start: 1, 3, 4 or 5.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides the whole shop.")] = 1,
    faults_per_day: Annotated[float, typer.Option("--faults-per-day", min=0.1, max=48, help="Expected faults a day.")] = 48.0,
    restart_s: Annotated[
        float, typer.Option("--restart-s", min=0.0, help="Seconds after which what was killed is started again; 0 never.")
    ] = 30.0,
) -> None:
    """Start NATS servers and several nodes on this machine with a shop's live traffic: kill one and watch."""
    plan = cluster_demo_command.ClusterDemoOptions(nodes, servers, seed, faults_per_day, restart_s)
    cluster_demo_command.run(data, plan, console)


@models_app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List the model versions of a data folder, show and compare them, and choose which one serves."""
    if ctx.invoked_subcommand is None:
        models_list(config, data, tenant, as_json)


@models_app.command("list")
def models_list(
    config: ConfigOption = None, data: DataOption = None, tenant: TenantOption = "default", as_json: JsonOption = False
) -> None:
    """List the versions, newest first."""
    report, table = models_command.versions(_made(config, data), tenant)
    answer(report, as_json, table)


@models_app.command("show")
def models_show(
    version_id: VersionArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a version with its scores, and who let it serve when and why."""
    report, table = models_command.show(_made(config, data), tenant, version_id)
    answer(report, as_json, table)


@models_app.command("promote")
def models_promote(
    version_id: VersionArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    who: WhoOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a version serve, if it can."""
    report, table = models_command.promote(_made(config, data), tenant, version_id, who or operator(), why)
    answer(report, as_json, table)


@models_app.command("rollback")
def models_rollback(
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    who: WhoOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let the version serve again that served before."""
    report, table = models_command.rollback(_made(config, data), tenant, who or operator(), why)
    answer(report, as_json, table)


@models_app.command("compare")
def models_compare(
    one: VersionArgument,
    other: VersionArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare the scores of two versions."""
    report, table = models_command.compare(_made(config, data), tenant, one, other)
    answer(report, as_json, table)


@models_app.command("export")
def models_export(
    version_id: Annotated[str, typer.Argument(help="Id of a version, or `champion`.")],
    destination: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="Key that signs it; made where absent. DESTINATION.key by default.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Write a version as an MLflow model (needs the extra `mlflow`)."""
    report, words = models_command.export(_made(config, data), tenant, version_id, destination, key)
    answer(report, as_json, words)


@app.command("check-config")
def check_config(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and print what is in force."""
    settings = _settings(config, data)
    print(settings.model_dump_json(indent=None if as_json else 2))


@app.command("cluster-config")
def cluster_config(
    hosts: Annotated[list[str], typer.Argument(help="Names or addresses of the servers: three or five, or one to try it out.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files, HOST.conf each.")] = Path(),
    store_dir: Annotated[str, typer.Option("--store-dir", help="Where each server keeps its data.")] = "/var/lib/nats",
    token: Annotated[
        str, typer.Option("--token", envvar="FORESHOCK_NATS_TOKEN", help="What clients and servers have to show.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Write the configuration of the NATS servers of a cluster."""
    report, table = cluster_command.write_configs(hosts, out, store_dir, token)
    answer(report, as_json, table)


@app.command()
def migrate(
    to_nats: Annotated[
        str | None,
        typer.Option("--to-nats", help="Servers of an empty cluster, as nats_url names them; without it history alone moves."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the data folder of a stopped node into a cluster, and its history to where history_url says; the node then goes on there."""
    with bar(as_json) as progress:
        report, table = migrate_command.migrate(_made(config, data), to_nats, progress)
    answer(report, as_json, table)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="Folder for the backup, absent or empty.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole state of a data folder while its service runs, or stands."""
    with bar(as_json) as progress:
        report, table = backup_command.backup(_made(config, data), destination, progress)
    answer(report, as_json, table)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup that `foreshock backup` made.")],
    config: ConfigOption = None,
    data: DataOption = None,
    manifest_sha256: Annotated[
        str, typer.Option("--manifest-sha256", help="What `backup` printed, to be sure that it is the same.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Check a backup to the last byte and make it into a data folder, which must be absent or empty."""
    with bar(as_json) as progress:
        report, table = backup_command.bring_back(_settings(config, data), source, manifest_sha256, progress)
    answer(report, as_json, table)


@app.command()
def forget(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose data goes, all of it.")] = None,
    attribute: Annotated[str | None, typer.Option("--attribute", help="A value of an attribute, as name=value.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a tenant, or one value of an attribute, from the data folder of a stopped node, or from a cluster whose nodes are stopped, for good."""
    report, table = forget_command.forget(_made(config, data), tenant, attribute)
    answer(report, as_json, table)


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    try:
        found = installed_version("foreshock")
    except PackageNotFoundError:
        found = "unknown, since it runs from a checkout that is not installed"
    print(json.dumps({"version": found}) if as_json else found)


def _settings(config: Path | None, data: Path | None, host: str | None = None, *, demo: bool = False) -> Settings:
    if demo and data is None:
        data = Path("data/demo")
    return load_settings(config, data=data, **{"server.host": host})


def _made(config: Path | None, data: Path | None) -> Settings:
    return made(_settings(config, data))


if __name__ == "__main__":
    main()
