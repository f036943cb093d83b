"""`export`, `verify`, `check`: proof. `parquet`: a copy of what is archived, which proves nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import COULD_NOT_RUN, NO
from cli.output import BookOption, JsonFlag, note, print_json, progress, say
from cli.runtime import opened
from cli.signature import signature
from cli.trust import pinned_trust
from ledger_core.errors import NotFound
from ledger_core.settings import load_settings

if TYPE_CHECKING:
    from ledger_core.evidence.export.segment import ExportResult
    from ledger_core.log.object_tree import Place


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command()(verify)
    app.command()(check)
    app.command()(parquet)


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
    else:
        _say_segment(result)
    if result.foreign:
        raise typer.Exit(NO)


def _say_segment(result: ExportResult) -> None:
    verb = "written" if result.created else "stood already; nothing was written"
    say(f"segment {result.segment} of {result.closed_on}: {result.records} records, {verb}.")
    say(str(result.uri))
    for what in result.foreign:
        note(f"counterfoil: somebody else wrote to the archive: {what} (docs/runbooks/archive.md)")


def verify(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="A segment, a folder of them, a proof, a signed report, or s3://bucket/prefix."
        ),
    ],
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="The pinned trust file; default the home's.")
    ] = None,
    known_checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--known-checkpoint",
            metavar="NOTE",
            help="A checkpoint kept from an earlier visit: the log must contain its tree. One of each log.",
        ),
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="SIZE", min=0, help="The segments may begin at this seq instead of 0."),
    ] = None,
    report_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write the report to FILE.json, .html or .txt as well; signed to .dsse.json.",
        ),
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Have the home's signing proxy sign FILE.dsse.json, as the company.")
    ] = False,
    sign_with: Annotated[
        Path | None,
        typer.Option("--sign-with", metavar="KEY", help="Sign FILE.dsse.json with this PEM key, as an auditor."),
    ] = None,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PUB", help="PATH is a report signed by the key of this public half."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, max=2, help="With 2, a second process unfolds large files where there is a core."
        ),
    ] = 2,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Verify an export, a proof or a signed report offline: needs no database, no network and no word of ours."""
    from ledger_core.log.attest import read_auditor_public
    from ledger_core.log.report_files import check_report_names, write_reports
    from ledger_core.log.verifier import verify_path

    check_report_names(report_files or (), signs=sign or sign_with is not None)
    known = [_note_of(file) for file in known_checkpoint or ()]
    place = place_at(path)
    with signature(sign=sign, key_file=sign_with, book=book, quiet=json) as seal:
        pinned = pinned_trust(place, trust) if signed_by is None or trust is not None else None
        with progress("verifying", quiet=json) as update:
            report = verify_path(
                place,
                pinned,
                progress=update,
                known_checkpoint=known,
                since=since,
                processes=processes,
                signed_by=None if signed_by is None else read_auditor_public(signed_by),
            )
        if json:
            print_json(report.as_json())
        else:
            for line in report.as_lines():
                say(line)
        refusal = write_reports(report, report_files or (), seal)
    if refusal is not None:
        note(f"counterfoil: {refusal}")
        raise typer.Exit(report.exit_status or COULD_NOT_RUN)
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


def place_at(address: str) -> Place:
    """Return the place that `address` names; a bucket is reached as the archive of this installation is."""
    from ledger_core.log.bucket import SCHEME
    from ledger_core.log.object_tree import place_of

    if not address.startswith(SCHEME):
        return place_of(address)
    chosen = load_settings().archive
    return place_of(address, endpoint=chosen.endpoint, region=chosen.region)


def _note_of(file: Path) -> bytes:
    from ledger_core.log.note import MAX_NOTE_BYTES
    from ledger_core.log.reading import read_bounded, why_unread

    data = read_bounded(file, MAX_NOTE_BYTES)
    if data is None:
        note(f"counterfoil: the checkpoint {file}: {why_unread(file, MAX_NOTE_BYTES)}.")
        raise typer.Exit(COULD_NOT_RUN)
    return data


def parquet(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where to; default the folder `analysts` in the home.")
    ] = None,
    segment: Annotated[int | None, typer.Option("--segment", metavar="N", help="This one alone.")] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Copy archived segments to Parquet files for analysts, each once; the copy is no proof."""
    from ledger_core.evidence.parquet import copy_segments

    with opened(book, quiet=json) as runtime, progress("copying", quiet=json) as update:
        chosen, target = runtime.settings.book, to or runtime.home / "analysts"
        copied = list(copy_segments(runtime, book=chosen, target=target, segment=segment, progress=update))
    if segment is not None and not copied:
        raise NotFound(f"book {chosen} has no segment {segment}.")
    if json:
        print_json(copied)
        return
    written = sum(item.created for item in copied)
    say(
        f"{written} of {len(copied)} segments written to {target}; the others stood already. They are copies, no proof."
    )
