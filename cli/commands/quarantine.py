"""`quarantine`: what was put aside, and what a later parser makes of it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from cli.errors import NO
from cli.output import BookOption, JsonFlag, note, print_json, say, table
from cli.runtime import opened

quarantine_app = typer.Typer(help="Rows that nobody could vouch for.", no_args_is_help=True)
_COLUMNS = ("file", "line", "source", "account", "code", "reason")
SourceOption = Annotated[str | None, typer.Option("--source", help="Of this source alone.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(quarantine_app, name="quarantine")


@quarantine_app.command("list")
def quarantine_list(
    source: SourceOption = None,
    code: Annotated[str | None, typer.Option("--code", help="Put aside for this reason, say bad_date.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also of files that newer ones replaced.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 100,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """List the rows put aside, the newest files first."""
    from ingest.landing.aside import list_aside

    with opened(book, quiet=json) as runtime, runtime.engine.connect() as connection:
        rows = list_aside(
            connection, runtime.settings.book, source=source, code=code, current=not everything, limit=limit
        )
    if json:
        print_json(rows)
        return
    table(
        [
            {name: getattr(row, name) for name in ("file", "line", "source", "account", "code", "reason")}
            for row in rows
        ],
        ["file", "line", "source", "account", "code", "reason"],
        cut_last=True,
    )
    if len(rows) == limit:
        note(f"There may be more: these are the first {limit} (--limit).")


@quarantine_app.command("show")
def quarantine_show(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file's name or id.")],
    line: Annotated[int, typer.Argument(metavar="LINE", min=1)],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Show one row: what came, without persons and card numbers, why it was put aside, and by which parser."""
    from ingest.landing.aside import show_aside

    with opened(book, quiet=json) as runtime, runtime.engine.connect() as connection:
        rows = show_aside(connection, runtime.settings.book, file, line)
    if json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row.file}:{row.line} of {row.source}, account {row.account} ({row.file_id})")
        say(f"  {row.code}: {row.reason}")
        say(f"  put aside {row.put_aside_at:%Y-%m-%d %H:%M} UTC by version {row.parser_version} of the parser")
        if not row.is_current:
            say("  a newer file replaces this one")
        say(f"  {row.raw}")


@quarantine_app.command("retry")
def quarantine_retry(
    file_id: Annotated[UUID | None, typer.Argument(metavar="[FILE_ID]", help="One file; default all.")] = None,
    source: SourceOption = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Read files with rows aside again, by the parser and the contract as they are now."""
    from ingest.landing.retrying import retry

    with opened(book, quiet=json) as runtime:
        retried = retry(runtime, book=runtime.settings.book, source=source, file_id=file_id)
    if json:
        print_json(retried)
    else:
        table([_row(each) for each in retried], ["file", "source", "status", "aside before", "aside now", "parser"])
        for each in retried:
            if each.landed is not None and each.landed.error:
                note(str(each.landed.error))
        if any(each.status == "same_parser" for each in retried):
            note(
                "Of those read by this version already nothing would come out otherwise: have the source correct them."
            )
    if any(each.is_aside for each in retried):
        raise typer.Exit(NO)


def _row(each: Any) -> dict[str, object]:
    return {
        "file": each.name,
        "source": each.source,
        "status": each.status,
        "aside before": each.was_aside,
        "aside now": each.is_aside,
        "parser": f"{each.parser_was} -> {each.parser_is}",
    }
