"""`export`, `verify`, `check`: proof."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import COULD_NOT_RUN, NO
from cli.output import BookOption, JsonFlag, note, print_json, progress, say
from cli.runtime import opened
from ledger_core.errors import ConfigurationError
from ledger_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command()(verify)
    app.command()(check)


def export(
    day: Annotated[datetime, typer.Argument(metavar="DATE", formats=["%Y-%m-%d"])],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Write the signed segment of DATE to the archive; a date that was exported stays as it is."""
    from ledger_core.evidence.export.segment import export_segment

    with opened(book, quiet=json) as runtime, progress("exporting", quiet=json) as update:
        result = export_segment(runtime, closed_on=day.date(), book=runtime.settings.book, progress=update)
    if json:
        print_json(result)
        return
    verb = "written" if result.created else "stood already; nothing was written"
    say(f"segment {result.segment} of {day.date()}: {result.records} records, {verb}.")
    say(str(result.uri))


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A segment, a folder of them, or a proof.")],
    trust: Annotated[Path | None, typer.Option("--trust", help="The pinned trust file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Verify an export or a proof offline: needs no database, no network and no word of ours."""
    from ledger_core.log.verifier import verify_path

    with progress("verifying", quiet=json) as update:
        report = verify_path(path, _pinned(trust), progress=update)
    if json:
        print_json(report.as_json())
    else:
        for line in report.as_lines():
            say(line)
    if report.exit_status:
        raise typer.Exit(report.exit_status)


def check(json: JsonFlag = False, book: BookOption = None) -> None:
    """Prove that every stored projection equals the signed log, and the log the proxy and the archive."""
    from ledger_core.evidence.check.checker import check_book

    with opened(book, quiet=json) as runtime, progress("checking", quiet=json) as update:
        report = check_book(runtime, runtime.settings.book, progress=update)
    if json:
        print_json(report.as_json())
    else:
        for line in report.as_lines():
            say(line)
    if report.findings:
        raise typer.Exit(NO)


def _pinned(given: Path | None) -> Path | None:
    """Return the trust file: the one named, else the home's, else the one beside us; None pins nothing."""
    if given is not None:
        if not given.is_file():
            note(f"counterfoil: there is no trust file {given}.")
            raise typer.Exit(COULD_NOT_RUN)
        return given
    try:
        candidate = load_settings().home / "trust.json"
    except ConfigurationError:
        candidate = Path("trust.json")
    return candidate if candidate.is_file() else None
