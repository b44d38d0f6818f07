"""The command ``foreshock``: options in, answers out. What a command does lies in `app.commands`, a module each.

Such a module is imported by the command that is called, in its function, and so is what the module needs: the whole service for ``serve``, next to
nothing for ``--help``. A user's mistake ends with one line on standard error and exit code 2; ``--json`` prints one object.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from app.commands import models_cli, tokens_cli
from app.commands.terminal import TIMES, ConfigOption, DataOption, JsonOption, answer, bar, console
from app.own_log import set_up_log, without_secrets
from features.errors import ForeshockError

__all__ = ["app", "main"]

app = typer.Typer(
    name="foreshock",
    help="How likely an error incident is to begin in the next 5, 15 and 60 minutes, why, and what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(models_cli.app, name="models")
app.add_typer(tokens_cli.app, name="tokens")

HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]


def main() -> None:
    """Run the command line."""
    set_up_log()
    try:
        app()
    except ForeshockError as exc:
        print(f"foreshock: {without_secrets(str(exc))}", file=sys.stderr)
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
    from app.commands import given, serve_command

    serve_command.serve(given.settings_of(config, data, host, roles), console)


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
    if to is not None:
        from app.commands import send_command

        with bar(as_json) as progress:
            report = send_command.to_service(files, to, speed, progress)
    else:
        from app.commands import given, replay_command

        with bar(as_json) as progress:
            report = replay_command.into_folder(files, given.settings_of(config, data), progress)
    answer(report, as_json)


@app.command()
def train(
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose history.")] = "default",
    as_json: JsonOption = False,
) -> None:
    """Fit a model on the folder's history, score it on held-out time, and let it serve if it earned that."""
    from app.commands import given, train_command

    with bar(as_json) as progress:
        report, table = train_command.train(given.made_settings(config, data), tenant, progress)
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
    from app.commands import backtest_command, given

    begin, end = (time if time is None or time.tzinfo else time.replace(tzinfo=UTC) for time in (since, until))
    with bar(as_json) as progress:
        report, table = backtest_command.backtest(given.made_settings(config, data), tenant, (begin, end), html, progress)
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
    from app.commands import demo_command, given

    plan = demo_command.DemoOptions(seed, days, faults_per_day, live)
    demo_command.run(given.settings_of(config, data or Path("data/demo"), host), plan, as_json, console)


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
    from app.commands import cluster_demo_command

    plan = cluster_demo_command.ClusterDemoOptions(nodes, servers, seed, faults_per_day, restart_s)
    cluster_demo_command.run(data, plan, console)


@app.command("check-config")
def check_config(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and print what is in force."""
    from app.commands import given

    settings = given.settings_of(config, data)
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
    from app.commands import cluster_command

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
    from app.commands import given, migrate_command

    with bar(as_json) as progress:
        report, table = migrate_command.migrate(given.made_settings(config, data), to_nats, progress)
    answer(report, as_json, table)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="Folder for the backup, absent or empty.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole state of a data folder while its service runs, or stands."""
    from app.commands import backup_command, given

    with bar(as_json) as progress:
        report, table = backup_command.backup(given.made_settings(config, data), destination, progress)
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
    from app.commands import backup_command, given

    with bar(as_json) as progress:
        report, table = backup_command.bring_back(given.settings_of(config, data), source, manifest_sha256, progress)
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
    from app.commands import forget_command, given

    report, table = forget_command.forget(given.made_settings(config, data), tenant, attribute)
    answer(report, as_json, table)


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    try:
        found = installed_version("foreshock")
    except PackageNotFoundError:
        found = "unknown, since it runs from a checkout that is not installed"
    print(json.dumps({"version": found}) if as_json else found)


if __name__ == "__main__":
    main()
