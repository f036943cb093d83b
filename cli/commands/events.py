"""`events tail`: what a consumer of the log would see."""

from __future__ import annotations

import sys
from typing import Annotated

import orjson
import typer

from cli.output import BookOption
from cli.runtime import opened

events_app = typer.Typer(help="The log's records as events.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(events_app, name="events")


@events_app.command("tail")
def events_tail(
    first: Annotated[
        int | None, typer.Option("--from", min=0, metavar="SEQ", help="The first record; default the newest ten.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many of the newest, without --from.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on.")] = False,
    book: BookOption = None,
) -> None:
    """Print signed records as CloudEvents, one JSON document a line."""
    from ledger_core.relay.tail import tail

    with opened(book, quiet=True) as runtime:
        for event in tail(runtime, runtime.settings.book, first=first, last=last, follow=follow):
            sys.stdout.buffer.write(orjson.dumps(event.as_json(), option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.flush()
