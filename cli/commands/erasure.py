"""`erase`: what may not be kept any longer, dropped for good. `entry`: one entry, its private values too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import BookOption, JsonFlag, print_json, say
from cli.runtime import opened, operator

if TYPE_CHECKING:
    from ledger_core.journal.erasures import ErasureRequest
    from ledger_core.ports import Posted

erase_app = typer.Typer(
    help="Drop private values of entries, or the stored bytes of files, for good.", no_args_is_help=True
)

ReasonOption = Annotated[
    str,
    typer.Option(
        "--reason",
        metavar="CODE",
        help="no_longer_necessary, consent_withdrawn, objection, unlawful, legal_obligation, child or mistake.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(erase_app, name="erase")
    app.command()(entry)


@erase_app.command("entry")
def erase_entry(
    entry_ids: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Entries by id or external_id.")],
    reason: ReasonOption,
    names: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="This value alone; may be repeated.")
    ] = None,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Erase the private values of entries; the entries stay, and go on verifying."""
    from ledger_core.journal.erasures import EntryErasure, ErasureRequest

    entries = tuple(EntryErasure(entry=each, names=tuple(names or ())) for each in entry_ids)
    _erase(ErasureRequest(reason=reason, entries=entries), json=json, book=book)


@erase_app.command("file")
def erase_file(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Landed files by id, SHA-256, or a path to the same bytes.")
    ],
    reason: ReasonOption,
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Erase the stored bytes of landed files by dropping their keys; rows that were read from them stay."""
    from ledger_core.journal.erasures import ErasureRequest

    _erase(ErasureRequest(reason=reason, files=tuple(map(_reference, files))), json=json, book=book)


def _reference(file: str) -> str:
    path = Path(file)
    if not path.is_file():
        return file
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _erase(request: ErasureRequest, *, json: bool, book: str | None) -> None:
    from datetime import timedelta

    from ledger_core.journal.erasures import ErasureDraft
    from ledger_core.ports import Ask, Posted

    with opened(book, quiet=json) as runtime:
        kept = timedelta(days=runtime.settings.ledger.backups_kept_days)
        draft = ErasureDraft(
            reason=request.reason,
            entries=request.entries,
            files=request.files,
            kept_until=runtime.clock().date() + kept,
        )
        answer = runtime.ledger().append([draft], Ask(actor=operator(runtime.settings)), atomic=True)
    item = answer.items[0]
    if not isinstance(item, Posted):
        if json:
            print_json({"status": "unchanged"})
        else:
            say("erased already; nothing was written.")
        return
    body = _body(item)
    if json:
        print_json({"status": "posted", "id": item.id, "seq": item.seq, **body})
        return
    values = sum(len(each["names"]) for each in body["values"])
    say(f"erased by record {item.seq}: {values} private values, {len(body['files'])} files.")
    say(f"backups may hold them until {body['kept_until']}.")


def _body(posted: Posted) -> dict[str, Any]:
    """Return what the record says: as a ledger behind HTTP answered it, or from its bytes."""
    import orjson

    said = posted.said
    body = orjson.loads(posted.canonical)["body"] if said is None else said
    return {name: body[name] for name in ("reason", "kept_until", "values", "files")}


def entry(
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY_ID", help="The entry's id, or its external_id.")],
    json: JsonFlag = False,
    book: BookOption = None,
) -> None:
    """Show one entry as the book holds it, with the private values that are held and what was erased."""
    from json import dumps

    from ledger_core.errors import NotFound
    from ledger_core.journal.entries import entry_as_json, format_timestamp
    from ledger_core.reading.entries import get_entry
    from ledger_core.reading.private import private_parts

    with opened(book, quiet=json) as runtime:
        name = runtime.settings.book
        with runtime.engine.connect() as connection:
            found = get_entry(connection, name, entry_id)
            if found is None:
                raise NotFound(f"there is no entry {entry_id[:80]} in book {name}.")
            parts = private_parts(connection, name, [found], values=runtime)
    document = {
        "id": found.id,
        "seq": found.seq,
        "status": found.status,
        "hash": found.leaf_hash.hex(),
        "recorded_at": format_timestamp(found.recorded_at),
        "book": name,
        **entry_as_json(found.draft),
    }
    if found.seq in parts:
        document |= {"commitments": dict(found.commitments), **parts[found.seq].as_json()}
    if json:
        print_json(document)
        return
    for key, value in document.items():
        say(f"{key}: {value if isinstance(value, str) else dumps(value, ensure_ascii=False)}")
