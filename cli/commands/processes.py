"""`up`, `down`, `status`, `token`: the processes of one home."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.output import BookOption, JsonFlag, note, print_json, progress, say, table
from cli.runtime import settings_for


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(token)


SecretsFlag = Annotated[bool, typer.Option("--secrets", help="Show the database's password in its address.")]


def up(json: JsonFlag = False, book: BookOption = None, secrets: SecretsFlag = False) -> None:
    """Start Postgres, signing proxy, API, worker and Dagster, and leave them running."""
    from cli.services import start_everything, status_of

    settings = settings_for(book, create_home=True)
    with progress("starting", quiet=json) as update:
        start_everything(settings, progress=update)
    _print_status(status_of(settings, secrets=secrets), json=json)
    if not settings.strict and not json:
        say()
        say("Development tokens are in force: `counterfoil token` issues one.")


def down(json: JsonFlag = False) -> None:
    """Stop every process of this home."""
    from cli.services import stop_everything

    # Whatever runs may be stopped, also what must not run here.
    stopped = stop_everything(settings_for(lenient=True))
    if json:
        print_json({"stopped": stopped})
    else:
        say(f"stopped {', '.join(stopped)}." if stopped else "nothing was running.")


def status(json: JsonFlag = False, secrets: SecretsFlag = False) -> None:
    """Show each process with pid, address and health, and where everything is."""
    from cli.services import status_of

    document = status_of(settings_for(), secrets=secrets)
    _print_status(document, json=json)
    if any(process["health"] != "up" for process in document["processes"]):
        raise typer.Exit(1)


def token(
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope; repeat for more. Default: all.")] = None,
    subject: Annotated[str, typer.Option("--subject", help="Who the token speaks for.")] = "developer",
    hours: Annotated[int, typer.Option("--hours", min=1, max=24 * 30)] = 12,
    json: JsonFlag = False,
) -> None:
    """Issue a development token for the API; refused in production."""
    from api.auth.development import ALL_SCOPES, issue_development_token
    from ledger_core.base.files import private_folder
    from ledger_core.services import home_mode

    settings = settings_for()
    private_folder(settings.home, mode=home_mode(settings))
    scopes = frozenset(scope or ALL_SCOPES)
    value = issue_development_token(settings, subject=subject, scopes=scopes, ttl_seconds=hours * 3600)
    if json:
        print_json({"token": value, "scopes": sorted(scopes), "expires_in_seconds": hours * 3600})
        return
    note("development token: anybody who holds it may act as this subject until it expires.")
    say(value)


def _print_status(document: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(document)
        return
    table(document["processes"], ["name", "health", "pid", "address"])
    say()
    for name, url in document["urls"].items():
        say(f"{name:10} {url}")
