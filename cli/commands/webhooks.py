"""`webhooks`: accounts at providers that send webhooks, their secrets, what waits for a person. `dead-letters`: what
failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import NO
from cli.output import BookOption, JsonFlag, note, print_json, say, table
from cli.runtime import opened, operator, settings_for

if TYPE_CHECKING:
    from ingest.inbox.letters import Letter

webhooks_app = typer.Typer(help="Webhooks: accounts, secrets, proposals.", no_args_is_help=True)
secrets_app = typer.Typer(help="The secrets that sign webhooks; several count during a roll.", no_args_is_help=True)
proposals_app = typer.Typer(help="Entries that a policy wants a person to post.", no_args_is_help=True)
letters_app = typer.Typer(help="Events that could not be processed.", no_args_is_help=True)

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="stripe, adyen or paypal.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The account at the provider; default from settings.")
]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Of this provider alone.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Events by the id that `list` shows.")]
_COLUMNS = ["inbox_id", "provider", "account", "type", "object_id", "received_at", "attempts", "reason"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    webhooks_app.add_typer(secrets_app, name="secrets")
    webhooks_app.add_typer(proposals_app, name="proposals")
    app.add_typer(webhooks_app, name="webhooks")
    app.add_typer(letters_app, name="dead-letters")


@webhooks_app.command("list")
def list_accounts(json: JsonFlag = False) -> None:
    """Show each account that webhooks are expected of, and how its events stand."""
    from ingest.inbox.accounts import Accounts
    from ingest.inbox.letters import counts

    with opened(quiet=json, signer=False) as runtime:
        accounts = Accounts(runtime.settings.webhooks_folder).every()
        found = counts(runtime.engine)
    rows = [
        {
            "provider": each.provider,
            "account": each.account,
            "book": each.book or runtime.settings.book,
            "secrets": len(each.secrets),
            "policy": each.choice(""),
            "fetches": each.api_key is not None,
            **found.get((each.provider, each.account), {}),
        }
        for each in accounts
    ]
    if json:
        print_json(rows)
    else:
        table(rows, ["provider", "account", "book", "secrets", "policy", "fetches", "pending", "posted", "dead"])


@secrets_app.command("list")
def list_secrets(provider: Provider, account: AccountOption = None, json: JsonFlag = False) -> None:
    """Show the names of the secrets of an account, never a secret."""
    from ingest.inbox.secrets import list_secrets as listed

    settings = settings_for()
    rows = listed(settings.webhooks_folder, provider, account or settings.ingest.provider_account)
    if json:
        print_json(rows)
    else:
        table(rows, ["name", "since"])


@secrets_app.command("add")
def add_secret(
    provider: Provider,
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="The file that holds the secret alone, or `-`.")],
    account: AccountOption = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call it; default the time.")] = None,
    api_key: Annotated[bool, typer.Option("--api-key", help="It is the key of the provider's API.")] = False,
    json: JsonFlag = False,
) -> None:
    """Add a secret to those that count, from a file or from standard input; never from the command line."""
    import sys

    from ingest.inbox.secrets import add_api_key
    from ingest.inbox.secrets import add_secret as add

    settings = settings_for()
    text = sys.stdin.read(8192) if str(file) == "-" else file.read_text()
    whose = account or settings.ingest.provider_account
    made = (
        add_api_key(settings.webhooks_folder, provider, whose, text)
        if api_key
        else add(settings.webhooks_folder, provider, whose, text, name=name)
    )
    if json:
        print_json({"added": made})
    else:
        say(f"added {made} of {provider}/{whose}.")


@secrets_app.command("retire")
def retire_secret(
    provider: Provider,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")],
    account: AccountOption = None,
    last: Annotated[bool, typer.Option("--last", help="Also the last one: then nothing is accepted.")] = False,
    json: JsonFlag = False,
) -> None:
    """Take a secret away: what it signs is refused from now on."""
    from ingest.inbox.secrets import retire_secret as retire

    settings = settings_for()
    whose = account or settings.ingest.provider_account
    left = retire(settings.webhooks_folder, provider, whose, name, last=last)
    if json:
        print_json({"retired": name, "left": left})
    else:
        say(f"retired {name} of {provider}/{whose}; {left} left.")


@proposals_app.command("list")
def list_proposals(provider: ProviderOption = None, json: JsonFlag = False) -> None:
    """Show what would be posted if a person said so."""
    from ingest.inbox.letters import PROPOSED

    _list(PROPOSED, provider, json)


@proposals_app.command("post")
def post_proposals(ids: Ids, json: JsonFlag = False, book: BookOption = None) -> None:
    """Have proposals posted by the worker; a record in the book says who said so."""
    from ingest.inbox.letters import approve

    with opened(book, quiet=json) as runtime:
        done = approve(runtime, ids, actor=operator(runtime.settings))
    _said("approved", done, json)


@letters_app.command("list")
def list_dead_letters(provider: ProviderOption = None, json: JsonFlag = False) -> None:
    """Show the events that could not be processed, the oldest first; exit status 1 where there are any."""
    from ingest.inbox.letters import DEAD

    if _list(DEAD, provider, json):
        raise typer.Exit(NO)


@letters_app.command("show")
def show_dead_letter(
    inbox_id: Annotated[int, typer.Argument(metavar="ID", help="The event's id, as `list` shows it.")],
    json: JsonFlag = False,
) -> None:
    """Show what became of one event; what it said stays encrypted."""
    from ingest.inbox.letters import find_letter

    with opened(quiet=json, signer=False) as runtime:
        letter = find_letter(runtime.engine, inbox_id)
    document = _document(letter)
    if json:
        print_json(document)
        return
    for key, value in document.items():
        if value not in (None, []):
            say(f"{key}: {value}")


@letters_app.command("replay")
def replay_dead_letters(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="Events by id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    provider: ProviderOption = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Let dead letters be tried again from their first attempt; a record in the book says who asked."""
    from ingest.inbox.letters import DEAD, list_letters, replay
    from ledger_core.errors import InvalidInput

    if bool(ids) == every:
        raise InvalidInput("name events, or --all.", remedy="`counterfoil dead-letters list` shows their ids.")
    with opened(book, quiet=json) as runtime:
        wanted = list(ids or [])
        if every:
            wanted = [each.inbox_id for each in list_letters(runtime.engine, DEAD, provider=provider)]
        done = replay(runtime, wanted, actor=operator(runtime.settings))
    _said("replayed", done, json)


def _list(status: str, provider: str | None, json: bool) -> bool:
    from ingest.inbox.letters import MAX_LISTED, list_letters

    with opened(quiet=json, signer=False) as runtime:
        letters = list_letters(runtime.engine, status, provider=provider)
    rows = [_document(letter) for letter in letters]
    if json:
        print_json(rows)
    else:
        table(rows, _COLUMNS, cut_last=True)
        if len(rows) == MAX_LISTED:
            note(f"only the first {MAX_LISTED}: settle them, and list again.")
    return bool(rows)


def _document(letter: Letter) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(letter), "entry_ids": [str(each) for each in letter.entry_ids]}


def _said(what: str, done: int, json: bool) -> None:
    if json:
        print_json({what: done})
    else:
        say(f"{what} {done}.")
