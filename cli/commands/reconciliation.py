"""`reconcile`, `breaks`: what does not match."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from cli.errors import NO
from cli.output import BookOption, JsonFlag, note, print_json, progress, say, table
from cli.runtime import opened

breaks_app = typer.Typer(help="The work queue of breaks.", no_args_is_help=True)
feeds_app = typer.Typer(help="What is expected from outside, and when.", no_args_is_help=True)

LIST_COLUMNS = [
    "break_id",
    "class",
    "leg",
    "key",
    "currency",
    "amount_minor",
    "priority",
    "status",
    "opened_on",
    "age_days",
    "why",
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(reconcile)
    app.add_typer(breaks_app, name="breaks")
    app.add_typer(feeds_app, name="feeds")


def reconcile(
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="As of this day.")] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Match everything as of a day; the default is the latest day that a booked input carries, at most today."""
    from reconciliation.runs.run import reconcile as run

    with opened(book, quiet=json) as runtime, progress("reconciling", quiet=json) as update:
        result = run(runtime, to=to.date() if to else None, book=runtime.settings.book, progress=update)
    if json:
        print_json(result.as_json())
    else:
        for line in result.as_lines():
            say(line)
    if result.verdict not in ("reconciled", "reconciled_with_pending"):
        raise typer.Exit(NO)


@feeds_app.command("show")
def feeds_show(json: JsonFlag = False, book: BookOption = None) -> None:
    """Show each feed as the last run saw it: its cadence, how far it has come, and whether it is late."""
    from reconciliation.runs.feed_states import COLUMNS, read_feed_states

    with opened(book, quiet=json) as runtime, runtime.engine.connect() as connection:
        feeds = [feed.as_json() for feed in read_feed_states(connection, runtime.settings.book)]
    if json:
        print_json(feeds)
    else:
        rows = [{name: "" if value is None else value for name, value in feed.items()} for feed in feeds]
        table([{**row, "account": f"{row['account']} {row['currency']}".strip()} for row in rows], COLUMNS)
        say(f"{len(feeds)} feeds." + (f" As of {feeds[0]['as_of']}." if feeds else ""))


@breaks_app.command("list")
def breaks_list(
    status: Annotated[str | None, typer.Option("--status", help="open or closed; default: open.")] = "open",
    break_class: Annotated[str | None, typer.Option("--class", help="Of this class alone.")] = None,
    leg: Annotated[
        str | None, typer.Option("--leg", help="A, ledger to provider, or B, provider to bank; default: both.")
    ] = None,
    closed_from: Annotated[
        datetime | None, typer.Option("--closed-from", formats=["%Y-%m-%d"], help="Closed on this day or later.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many at most; how many are left is said. Default: all.")
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """List breaks, the most pressing first."""
    from reconciliation.breaks.queue import count_breaks, list_breaks

    since = closed_from.date() if closed_from else None
    with opened(book, quiet=json) as runtime, runtime.engine.connect() as connection:
        queue, name = connection, runtime.settings.book
        listed = list_breaks(
            queue, name, status=status, break_class=break_class, leg=leg, closed_from=since, limit=limit
        )
        left = 0
        if len(listed) == limit:
            every = count_breaks(queue, name, status=status, break_class=break_class, leg=leg, closed_from=since)
            left = every - len(listed)
    found = [item.as_json() for item in listed]
    if json:
        print_json(found)
    else:
        for row in found:
            row["break_id"] = str(row["break_id"])[:12]
        table(found, LIST_COLUMNS, cut_last=True)
        say(f"{len(found):,} breaks.")
    if left:
        # Beside a JSON document on the error stream: what is on the output is the document alone.
        (note if json else say)(f"{left:,} more are left: raise --limit, or ask for one --class or --leg.")


@breaks_app.command("show")
def breaks_show(
    break_id: Annotated[str, typer.Argument(metavar="BREAK_ID", help="The id, or enough of its beginning.")],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Show one break with its evidence and the path of its item."""
    from reconciliation.breaks.queue import find_break

    with opened(book, quiet=json) as runtime, runtime.engine.connect() as connection:
        found = find_break(connection, runtime.settings.book, break_id).as_json()
    if json:
        print_json(found)
        return
    for name, value in found.items():
        if name != "evidence":
            say(f"{name:20} {'' if value is None else value}")
    for item in found["evidence"]:
        say(f"{'evidence':20} {item}")
