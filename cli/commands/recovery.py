"""`replay`: a database brought back from the archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.archive import place_at
from cli.output import BookOption, JsonFlag, note, print_json, progress, say
from cli.runtime import opened
from cli.trust import pinned_trust
from ledger_core.errors import ConfigurationError

if TYPE_CHECKING:
    from ledger_core.evidence.replay.replay import Replayed


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    archive: Annotated[
        str | None,
        typer.Argument(metavar="ARCHIVE", help="A folder of segments or s3://bucket/prefix; default the home's."),
    ] = None,
    proceed: Annotated[
        bool,
        typer.Option("--continue", help="Put what is missing behind a database that holds the beginning."),
    ] = False,
    tail: Annotated[
        Path | None,
        typer.Option(
            "--tail",
            metavar="RECORDS",
            exists=True,
            dir_okay=False,
            help="The records behind the archive's end, one a line: taken as far as the signing proxy signed them.",
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="The pinned trust file; default the home's.")
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Rebuild every table of the ledger in an empty database from the archive alone, verifying it first."""
    from ledger_core.evidence.replay.replay import replay as rebuild

    with opened(book, quiet=json) as runtime, progress("replaying", quiet=json) as update:
        place = place_at(archive or runtime.settings.archive_address)
        pinned = pinned_trust(place, trust)
        if pinned is None:
            raise ConfigurationError(
                f"nothing is pinned that {place} could be held against.", remedy="Name the trust file with --trust."
            )
        done = rebuild(
            runtime,
            place,
            trust=pinned,
            book=book,
            proceed=proceed,
            tail=tail,
            progress=lambda what, records: update(f"{what} {records:,}"),
        )
    if json:
        print_json({"books": done})
    else:
        for item in done:
            _say_book(item)


def _say_book(item: Replayed) -> None:
    where = f"now at size {item.size:,}, root {item.root}"
    if item.records:
        say(f"book {item.book}: {item.records:,} records from seq {item.first_seq:,} on, {where}.")
    else:
        say(f"book {item.book}: nothing was missing, {where}.")
    if item.behind is None:
        note("counterfoil: the signing proxy says nothing of this log; whether more was signed is not known.")
    elif item.behind:
        note(
            f"counterfoil: the signing proxy signed {item.behind:,} records more than the archive holds; nothing is "
            "posted before they are back (--tail; docs/runbooks/restore.md, 4)."
        )
