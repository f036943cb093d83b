"""`contracts`: what sources there are, and what a file is to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import NO
from cli.output import JsonFlag, note, print_json, say, table

contracts_app = typer.Typer(help="What sources promise, and what a file is to them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(contracts_app, name="contracts")


@contracts_app.command("list")
def contracts_list(json: JsonFlag = False) -> None:
    """List the sources: whose word each brings, in what format, and its kinds of records."""
    from ingest.sources import contracts

    rows = [
        {
            "source": contract.source,
            "kind": contract.kind.value,
            "provider": contract.provider,
            "format": contract.format,
            "records": ", ".join(each.name for each in contract.record_types),
            "reports": ", ".join(dict.fromkeys(name for each in contract.record_types for name in each.reports)),
        }
        for contract in contracts().values()
    ]
    if json:
        print_json(rows)
    else:
        table(rows, ["source", "kind", "provider", "format", "records", "reports"], cut_last=True)


@contracts_app.command("show")
def contracts_show(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Say stripe_report.")], json: JsonFlag = False
) -> None:
    """Show what a source promises: format, units, signs, zone, columns."""
    from ingest.sources import find_source

    contract = find_source(source).contract
    columns = [
        {
            "record": record.name,
            "column": column.shown,
            "kind": column.kind.value,
            "is": ", ".join(
                word
                for word, holds in (
                    ("mandatory", column.mandatory),
                    ("never empty", column.required),
                    ("not stored", column.personal),
                )
                if holds
            ),
        }
        for record in contract.record_types
        for column in record.columns
    ]
    facts = {
        name: getattr(contract, name)
        for name in ("source", "kind", "provider", "format", "encoding", "delimiter", "scale", "sign", "time_zone")
    }
    if json:
        print_json({**facts, "columns": columns, "events": dict(contract.events)})
        return
    for name, value in facts.items():
        say(f"{name:10} {value}")
    say()
    table(columns, ["record", "column", "kind", "is"])


@contracts_app.command("check")
def contracts_check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Whatever came.", exists=True, dir_okay=False)],
    source: Annotated[str | None, typer.Option("--source", help="Ask this source alone.")] = None,
    json: JsonFlag = False,
) -> None:
    """Explain a file: which source reads it, its columns, its totals, and the first rows that nobody can vouch for."""
    from ingest.landing.checking import explain

    explained = explain(file, sources=(source,) if source else ())
    if json:
        print_json(explained)
    else:
        for content in explained:
            _say_content(content)
    if not explained or any(not content.readings for content in explained):
        raise typer.Exit(NO)


def _say_content(content: Any) -> None:
    if not content.readings:
        say(f"{content.name}: no source reads this.")
        for source, refusal in content.refusals.items():
            note(f"  {source}: {refusal}")
        return
    likeliest, *others = content.readings
    say(f"{content.name}: {likeliest.source}, {likeliest.record_type} ({', '.join(likeliest.reports)})")
    if others:
        say(f"  also read by {', '.join(each.source for each in others)}")
    _say_reading(likeliest)


def _say_reading(reading: Any) -> None:
    from ingest.contract.totals import failure

    days = " to ".join(dict.fromkeys(str(day) for day in (reading.covers_from, reading.covers_to) if day))
    say(f"  {reading.read} rows read, {reading.accepted} would land, {reading.quarantined} would be put aside")
    say(f"  covers {days or 'no day'}; times in {reading.time_zone}; as new as {reading.document_at or 'nobody says'}")
    if reading.columns is not None:
        for title, names in (
            ("stored", reading.columns.stored),
            ("unknown, kept in extra", reading.columns.kept),
            ("names persons, not stored", reading.columns.personal),
            ("not in this file", reading.columns.missing),
        ):
            if names:
                say(f"  {title}: {', '.join(names)}")
    failed = [total for total in reading.control_totals if not total.passed]
    if held := len(reading.control_totals) - len(failed):
        say(f"  {held} control totals hold")
    for total in failed:
        say(f"  {failure(total)}")
    for warning in reading.warnings:
        say(f"  {warning}")
    for line, code, reason in reading.first_problems:
        say(f"  line {line}: {code}: {reason}")
