"""`accounts`, `post`, `proof`: what the company itself says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import NO, as_json
from cli.output import BookOption, JsonFlag, note, print_json, progress, say
from cli.runtime import opened, operator

accounts_app = typer.Typer(help="The chart of accounts.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(accounts_app, name="accounts")
    app.command()(post)
    app.command()(proof)


@accounts_app.command("apply")
def accounts_apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML: book and accounts.")],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Bring the chart of accounts to what FILE says; applying it twice changes nothing."""
    from ledger_core.files.chart import apply_chart_file

    with opened(book, quiet=json) as runtime:
        applied = apply_chart_file(runtime, file, book=book, actor=operator(runtime.settings))
    if json:
        print_json(applied)
    else:
        say(f"{applied.created} created, {applied.changed} changed, {applied.unchanged} unchanged.")


def post(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON lines; - reads standard input.")],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Post journal entries and wait for their signatures; running it twice posts once."""
    from ledger_core.files.entries import post_file

    source = sys.stdin.buffer if file == "-" else Path(file)
    with opened(book, quiet=json) as runtime, progress("posting", quiet=json) as update:
        summary = post_file(runtime.ledger(), runtime.engine, source, actor=operator(runtime.settings), progress=update)
    if json:
        document = {
            "read": summary.read, "posted": summary.posted, "identical": summary.identical,
            "refused": summary.refused, "signed_size": summary.signed_size,
            "errors": [as_json(error)["error"] for error in summary.errors],
        }  # fmt: skip
        print_json(document)
    else:
        say(
            f"{summary.read} read: {summary.posted} posted and signed, {summary.identical} stood already, "
            f"{summary.refused} refused; the signed log has {summary.signed_size} records."
        )
    for error in summary.errors:
        note(f"counterfoil: {error}")
    if summary.refused:
        note(f"{summary.refused} entries were refused; the others stand. Mend the file and post it again.")
        raise typer.Exit(NO)


def proof(
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY_ID")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the JSON bundle here; to *.tlog-proof that text instead."),
    ] = None,
    opened_names: Annotated[
        list[str] | None,
        typer.Option("--open", metavar="NAME", help="Show this private value in the bundle; may be repeated."),
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Give the proof of one entry: the tlog-proof text, or the JSON bundle; `verify` takes both."""
    from ledger_core.evidence.proofs.prove import entry_proof

    with opened(book, quiet=json) as runtime:
        found = entry_proof(runtime, runtime.settings.book, entry_id, opened=opened_names or ())
    if out is not None and out.suffix == ".tlog-proof":
        out.write_text(found.tlog_proof)
        keys = out.with_name("keys.jsonl")
        if not keys.exists():
            # The text has no place for the registry, without which no verifier knows the key.
            keys.write_text(found.keys_text)
        note(f"written to {out}; {keys} lies beside it.")
    elif out is not None:
        out.write_text(found.bundle_text)
        note(f"written to {out}.")
    if json:
        sys.stdout.write(found.bundle_text.rstrip("\n") + "\n")
    elif out is None:
        sys.stdout.write(found.tlog_proof)
