"""``foreshock models``: its options; `app.commands.models_command`, imported when one of the commands is called, does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import ConfigOption, DataOption, JsonOption, answer
from app.operator import operator

__all__ = ["app"]

app = typer.Typer()

TenantOption = Annotated[str, typer.Option("--tenant", help="Whose models.")]
VersionArgument = Annotated[str, typer.Argument(help="Id of a version, as `foreshock models list` prints it.")]
WhoOption = Annotated[str | None, typer.Option("--who", help="Who does it; the user of the system by default.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why; kept in the version's history.")]


@app.callback(invoke_without_command=True)
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


@app.command("list")
def models_list(
    config: ConfigOption = None, data: DataOption = None, tenant: TenantOption = "default", as_json: JsonOption = False
) -> None:
    """List the versions, newest first."""
    from app.commands import given, models_command

    report, table = models_command.versions(given.made_settings(config, data), tenant)
    answer(report, as_json, table)


@app.command("show")
def models_show(
    version_id: VersionArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a version with its scores, and who let it serve when and why."""
    from app.commands import given, models_command

    report, table = models_command.show(given.made_settings(config, data), tenant, version_id)
    answer(report, as_json, table)


@app.command("promote")
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
    from app.commands import given, models_command

    report, table = models_command.promote(given.made_settings(config, data), tenant, version_id, who or operator(), why)
    answer(report, as_json, table)


@app.command("rollback")
def models_rollback(
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    who: WhoOption = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let the version serve again that served before."""
    from app.commands import given, models_command

    report, table = models_command.rollback(given.made_settings(config, data), tenant, who or operator(), why)
    answer(report, as_json, table)


@app.command("compare")
def models_compare(
    one: VersionArgument,
    other: VersionArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Compare the scores of two versions."""
    from app.commands import given, models_command

    report, table = models_command.compare(given.made_settings(config, data), tenant, one, other)
    answer(report, as_json, table)


@app.command("export")
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
    from app.commands import given, models_command

    report, words = models_command.export(given.made_settings(config, data), tenant, version_id, destination, key)
    answer(report, as_json, words)
