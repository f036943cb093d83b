"""`sample`, `ingest`: what comes from outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import COULD_NOT_RUN, NO
from cli.output import BookOption, JsonFlag, note, print_json, progress, say, table
from cli.runtime import opened
from ledger_core.errors import InvalidInput
from ledger_core.journal.text import shown

_SIGNS = {
    "paid": "its payouts are written as they reach the bank: above zero when paid out.",
    "balance": "its payouts are written as they move the balance: below zero when paid out.",
}
"""By what the file's own payouts say; what their items say outweighs it in a run."""

sample_app = typer.Typer(help="Make the files of a sample company.", no_args_is_help=True)
sweep_app = typer.Typer(help="Ask a provider's API for what it holds.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(sample_app, name="sample")
    app.command()(ingest)
    app.add_typer(sweep_app, name="sweep")


@sample_app.command("make")
def sample_make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made if missing.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3660)] = 31,
    per_day: Annotated[int, typer.Option("--per-day", min=1, max=1_000_000)] = 640,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    clean: Annotated[bool, typer.Option("--clean", help="Plant no breaks and let everything settle.")] = False,
    providers: Annotated[
        list[str] | None,
        typer.Option("--provider", help="Through whom it sells: stripe, adyen, paypal or all; may be repeated."),
    ] = None,
    accounts: Annotated[int, typer.Option("--accounts", min=1, help="How many it has at each provider.")] = 1,
    banks: Annotated[
        list[str] | None,
        typer.Option(
            "--bank", metavar="BANK=FORMAT", help="How a bank states: delta or harbour, as camt053, mt940 or bai2."
        ),
    ] = None,
    reports: Annotated[
        str, typer.Option("--reports", help="How often the providers report: weekly or daily.")
    ] = "weekly",
    dirt: Annotated[
        list[str] | None,
        typer.Option(
            "--dirt", help="How untidily files come; may be repeated. One of the kinds that `all` stands for."
        ),
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Write provider files, bank statements, the company's postings and the truth about planted breaks."""
    from sample import DIRT, PROVIDERS, make_sample

    with progress("making the sample", quiet=json):
        summary = make_sample(
            folder,
            days=days,
            per_day=per_day,
            seed=seed,
            clean=clean,
            providers=PROVIDERS if "all" in (providers or ()) else tuple(providers or ("stripe",)),
            accounts=accounts,
            statements=_by_bank(banks or ()),
            reports=reports,
            dirt=DIRT if "all" in (dirt or ()) else dirt or (),
            book=book or "main",
        )
    if json:
        print_json(summary)
    else:
        say(f"{folder}: {summary}")


def _by_bank(asked: Iterable[str]) -> dict[str, str]:
    formats = {}
    for each in asked:
        bank, equals, wanted = each.partition("=")
        if not equals:
            raise InvalidInput(f"{shown(each)} is no BANK=FORMAT.", pointer="--bank", remedy="Write delta=mt940, say.")
        formats[bank] = wanted
    return formats


def ingest(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Whose files these are, say stripe_report.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders of files.")],
    account: Annotated[str | None, typer.Option("--account", help="The account at that provider.")] = None,
    from_on: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="First day that the report was asked for."),
    ] = None,
    to_on: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Last day, included."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would land; write nothing.")] = False,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Land files of one source: raw rows, control totals, quarantine."""
    from ingest.contract.totals import failure
    from ingest.landing.land import land

    with opened(book, quiet=json) as runtime, progress("landing", quiet=json) as update:
        landed = land(
            runtime,
            source=source,
            paths=paths,
            account=account,
            interval=(from_on.date() if from_on else None, to_on.date() if to_on else None),
            book=runtime.settings.book,
            dry_run=dry_run,
            progress=update,
        )
    quarantined = sum(file.quarantined for file in landed)
    failed = [total for file in landed for total in file.control_totals if not total.passed]
    if json:
        print_json({"files": landed, "quarantined": quarantined, "control_totals_failed": len(failed)})
    else:
        table(
            [_row(file) for file in landed],
            ["file", "record_type", "status", "covers", "read", "accepted", "quarantined"],
        )
        for file in landed:
            if file.error:
                note(str(file.error))
            if file.supersedes:
                note(f"{file.name}: newer than {len(file.supersedes)} files, of which it replaces the days of both.")
            if file.superseded_by:
                note(f"{file.name}: a newer file that landed before it replaces the days of both.")
            if file.payouts_sign:
                note(f"{file.name}: {_SIGNS[file.payouts_sign]}")
            for warning in file.warnings:
                note(f"{file.name}: {warning}")
            for line, reason in file.quarantined_rows:
                note(f"{file.name}:{line}: {reason}")
            if file.quarantined > len(file.quarantined_rows):
                note(f"{file.name}: {file.quarantined - len(file.quarantined_rows)} more")
            for total in file.control_totals:
                if not total.passed:
                    note(f"{file.name}: {failure(total)}")
        if quarantined:
            note("Rows put aside stay out of reconciliation: have their source correct them, then ingest the new file.")
    if any(file.status == "rejected" for file in landed):
        raise typer.Exit(NO if dry_run else COULD_NOT_RUN)
    if quarantined or failed:
        raise typer.Exit(NO)


@sweep_app.callback()
def _sweep() -> None:
    """Keep the provider a word of its own while there is one alone."""


@sweep_app.command("stripe")
def sweep_stripe(
    account: Annotated[str | None, typer.Option("--account", help="The account at Stripe.")] = None,
    from_on: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="First day; default where the last ended."),
    ] = None,
    to_on: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Last day, included.")
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Land Stripe's balance transactions, payouts and disputes as its API lists them."""
    from ingest.landing.sweep import sweep

    with opened(book, quiet=json) as runtime, progress("sweeping", quiet=json) as update:
        swept = sweep(
            runtime,
            account=account,
            days=(from_on.date() if from_on else None, to_on.date() if to_on else None),
            book=runtime.settings.book,
            progress=update,
        )
    quarantined = sum(file.quarantined for each in swept for file in each.files)
    if json:
        print_json({"lists": swept, "quarantined": quarantined})
    else:
        rows = [
            {
                "list": each.list,
                "since": f"{each.since:%Y-%m-%d %H:%M:%S}",
                "until": f"{each.until:%Y-%m-%d %H:%M:%S}",
                "objects": each.objects,
                "seen_first": each.seen_first,
                "files_landed": sum(1 for file in each.files if file.status == "landed"),
            }
            for each in swept
        ]
        table(rows, ["list", "since", "until", "objects", "seen_first", "files_landed"])
        for each in swept:
            for warning in each.warnings:
                note(f"{each.list}: {warning}")
            for file in each.files:
                for line, reason in file.quarantined_rows:
                    note(f"{file.name}:{line}: {reason}")
    if quarantined:
        raise typer.Exit(NO)


def _row(file: object) -> dict[str, object]:
    names = ("record_type", "status", "read", "accepted", "quarantined")
    days = [str(day) for day in (getattr(file, "covers_from", None), getattr(file, "covers_to", None)) if day]
    return {
        "file": getattr(file, "name", ""),
        "covers": " to ".join(dict.fromkeys(days)),
        **{name: getattr(file, name) for name in names},
    }
