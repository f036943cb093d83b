"""`close`, `demo`: the nightly close, and the whole of it on a sample month."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from cli.errors import NO
from cli.output import BookOption, JsonFlag, print_json, progress, say
from cli.runtime import opened, settings_for
from ledger_core.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(close)
    app.command()(demo)


def close(
    day: Annotated[str, typer.Argument(metavar="DATE|FROM..TO")],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Run the nightly close of a day, or of a range as one: land, post, build, match, check, report, export."""
    from orchestration.close import close as run

    first, last = parse_range(day)
    with opened(book, quiet=json) as runtime, progress("closing", quiet=json) as update:
        result = run(runtime, first=first, last=last, progress=update)
    if json:
        print_json(result.as_json())
    else:
        for line in result.as_lines():
            say(line)
    if result.verdict not in ("reconciled", "reconciled_with_pending"):
        raise typer.Exit(NO)


def demo(
    days: Annotated[int, typer.Option("--days", min=14, max=366)] = 31,
    per_day: Annotated[int, typer.Option("--per-day", min=1)] = 640,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    json: JsonFlag = False,
) -> None:
    """Make a sample month, close it night by night, and show what was found; done when it equals what was planted."""
    from cli.demo import run_demo

    with progress("demo", quiet=json) as update:
        result = run_demo(settings_for(create_home=True), days=days, per_day=per_day, seed=seed, progress=update)
    if json:
        print_json(result.as_json())
    else:
        for line in result.as_lines():
            say(line)
    if not result.as_planted:
        raise typer.Exit(NO)


def parse_range(text: str) -> tuple[date, date]:
    """Read `2026-10-01` or `2026-10-01..2026-10-28`. Raises `InvalidInput`."""
    first, _, last = text.partition("..")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError as error:
        raise InvalidInput(
            f"{text} is no date or range.", remedy="Write 2026-10-31 or 2026-10-01..2026-10-31."
        ) from error
    if days[1] < days[0]:
        raise InvalidInput(f"{text} ends before it begins.")
    return days
