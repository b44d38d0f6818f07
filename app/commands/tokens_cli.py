"""``foreshock tokens``: its options; `app.commands.tokens_command`, imported when one of the commands is called, does what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.auth import Scope, Wanted
from app.commands.terminal import TIMES, ConfigOption, JsonOption

__all__ = ["app"]

app = typer.Typer(help="Make, list, rotate and revoke tokens.", no_args_is_help=True)

DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder that no node holds.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="REST of a running node, such as http://127.0.0.1:8318.")]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="FORESHOCK_TOKEN", help="With the scope admin, for --url; better in the environment.")
]
NameArgument = Annotated[str, typer.Argument(help="Of the token.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What lists and the audit log call it.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it allows; may come again.")],
    tenant: Annotated[list[str], typer.Option("--tenant", help="With whose data; may come again. '*' is all tenants.")],
    expires: Annotated[datetime | None, typer.Option("--expires", formats=TIMES, help="End; UTC without a zone.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it, this once."""
    from app.commands import tokens_command as work

    end = expires if expires is None or expires.tzinfo else expires.replace(tzinfo=UTC)
    with work.asked_of(work.Place(config, data, url, token), new=True) as asked:
        work.tell(asked.add(Wanted(name, scope, tenant, end)), as_json)


@app.command("list")
def list_tokens(
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """List tokens, those that ended lately too; never what shows them."""
    from app.commands import tokens_command as work

    with work.asked_of(work.Place(config, data, url, token)) as asked:
        found = asked.all()
    print(json.dumps({"items": found}) if as_json else "\n".join(map(work.line, found)) or "no token yet")


@app.command("rotate")
def rotate(
    name: NameArgument,
    overlap: Annotated[str, typer.Option("--overlap", help="For how long the secret before is taken: 90s, 1h, 7d.")] = "1h",
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give a token a new secret and print it, this once."""
    from app.commands import tokens_command as work

    overlap_s = work.seconds_of(overlap)
    with work.asked_of(work.Place(config, data, url, token)) as asked:
        work.tell(asked.rotate(name, overlap_s), as_json)


@app.command("revoke")
def revoke(
    name: NameArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """End a token at once."""
    from app.commands import tokens_command as work

    with work.asked_of(work.Place(config, data, url, token)) as asked:
        found = asked.revoke(name)
    print(json.dumps(found) if as_json else work.line(found))
