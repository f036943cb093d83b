"""`keys`: who signs, and how that changes. The roots sign elsewhere: `make-root` and `sign-root` need no home.

Where the proxy runs on another host, `--draft` and `tell` are what is done here, and `ledger_core.ceremony.host` there.
None of these opens the proxy before it needs a signature: the key that is to end may be switched off by then.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import JsonFlag, note, print_json, say, table
from cli.runtime import opened, operator
from ledger_core.errors import InvalidInput

keys_app = typer.Typer(help="The signing keys and the roots that vouch for them.", no_args_is_help=True)

DraftOption = Annotated[
    Path | None,
    typer.Option("--draft", metavar="FILE", help="Write what the roots are to sign, and change nothing."),
]
WindowOption = Annotated[
    int,
    typer.Option("--window", min=0, metavar="N", help="Records that may be signed until a draft is installed."),
]
AddOption = Annotated[
    list[Path] | None, typer.Option("--add-root", metavar="PUB", help="A root that comes: its public key.")
]
RemoveOption = Annotated[
    list[str] | None, typer.Option("--remove-root", metavar="ID", help="A root that goes, by its id.")
]
ThresholdOption = Annotated[
    int | None, typer.Option("--threshold", min=1, metavar="K", help="How many roots must agree from then on.")
]
NextOption = Annotated[
    Path | None,
    typer.Option("--next", metavar="FILE", help="The key that is to sign, as the proxy's own host described it."),
]
KeyArgument = Annotated[str | None, typer.Argument(metavar="[KEY]", help="The key, by 8 digits of its id or more.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys_app, name="keys")


@keys_app.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """Show the key registry as it stands."""
    from ledger_core.ceremony.run import listing

    with opened(quiet=json, signer=False) as runtime:
        found = listing(runtime)
    if json:
        print_json(found)
        return
    say(f"registry version {found['version']}, pinned here from version {found['pinned_version']}")
    say(f"{found['roots']['threshold']} of {len(found['roots']['keys'])} roots: {', '.join(found['roots']['keys'])}")
    rows = [
        {
            "key": item["key_id"],
            "status": item["status"],
            "kept": f"{item['backend']} ({item['assurance']})",
            "log": part["origin"],
            "from": part["from_size"],
            "to": "" if part["to_size"] is None else part["to_size"],
        }
        for item in found["keys"]
        for part in item["valid"]
    ]
    table(rows, ["key", "status", "kept", "log", "from", "to"])
    if found["under_way"]:
        say(f"under way: {found['under_way']['action']}; run any change of keys to finish it.")


@keys_app.command()
def rotate(
    draft: DraftOption = None,
    next_key: NextOption = None,
    window: WindowOption = 0,
    add_root: AddOption = None,
    remove_root: RemoveOption = None,
    threshold: ThresholdOption = None,
    json: JsonFlag = False,
) -> None:
    """Let a new key sign from here on; the old one counts up to here."""
    roots = (add_root, remove_root, threshold)
    _change("rotate", draft, json, next_key=next_key, window=window, roots=roots)


@keys_app.command()
def revoke(
    key: KeyArgument = None,
    draft: DraftOption = None,
    next_key: NextOption = None,
    window: WindowOption = 0,
    json: JsonFlag = False,
) -> None:
    """End KEY for good (default: the one that signs, which gets a successor); what it signed stays valid."""
    _change("revoke", draft, json, next_key=next_key, key=key, window=window)


@keys_app.command()
def compromise(
    key: KeyArgument = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            "--before",
            metavar="TIME",
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
            help="When the key may have been stolen, in UTC: what was archived earlier is evidence.",
        ),
    ] = None,
    known_checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--known-checkpoint", metavar="NOTE", help="A checkpoint from before the theft that was kept."),
    ] = None,
    draft: DraftOption = None,
    next_key: NextOption = None,
    json: JsonFlag = False,
) -> None:
    """Say that KEY was stolen: it counts only in trees that are shown to lie in the last one beyond doubt."""
    stolen_at = None if before is None else before.replace(tzinfo=UTC)
    known = tuple(known_checkpoint or ())
    _change("compromise", draft, json, next_key=next_key, key=key, before=stolen_at, known=known)


@keys_app.command()
def roots(
    draft: DraftOption = None,
    add_root: AddOption = None,
    remove_root: RemoveOption = None,
    threshold: ThresholdOption = None,
    json: JsonFlag = False,
) -> None:
    """Change the roots: who vouches for keys, and how many must agree."""
    _change("roots", draft, json, roots=(add_root, remove_root, threshold))


@keys_app.command()
def install(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="What the roots signed: `sign-root` wrote it.")
    ],
    json: JsonFlag = False,
) -> None:
    """Install a version of the registry once enough roots have signed it."""
    from ledger_core.ceremony.run import install_files

    with opened(quiet=json, signer=False) as runtime:
        done = install_files(runtime, files, actor=operator(runtime.settings))
    _print(done, json)


@keys_app.command()
def tell(
    change: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `ceremony.host install` wrote on the proxy's host.")
    ],
    json: JsonFlag = False,
) -> None:
    """Record in each log a change of keys that was made on the proxy's own host, and say whom to tell."""
    from ledger_core.ceremony.run import record_change

    with opened(quiet=json, signer=False) as runtime:
        done = record_change(runtime, change, actor=operator(runtime.settings))
    _print(done, json)


@keys_app.command()
def trust(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The trust file for auditors.")],
    json: JsonFlag = False,
) -> None:
    """Write the trust file that pins the registry as it stands, and `keys.jsonl`, the registry, beside it."""
    from ledger_core.base.files import write_once
    from ledger_core.ceremony.offline import refuse_private
    from ledger_core.ceremony.run import current_trust

    beside = out.with_name("keys.jsonl")
    if out == beside:
        raise InvalidInput("the registry is written beside it, under that name.", file=str(out), remedy="Name another.")
    for path in (out, beside):
        refuse_private(path)
    with opened(quiet=json, signer=False) as runtime:
        pinned, registry = current_trust(runtime)
    write_once(beside, registry, mode=0o644)
    write_once(out, pinned, mode=0o644)
    if json:
        print_json({"trust": str(out), "registry": str(beside)})
    else:
        say(f"{out}, with {beside.name} beside it: hand both to auditors by another way than the export.")


@keys_app.command("make-root")
def make_root(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The private key; the public one is FILE.pub.")],
    json: JsonFlag = False,
) -> None:
    """Make a root key in a file. Needs no home; run it where the root will be kept."""
    from ledger_core.ceremony import offline

    key = offline.make_root(out)
    if json:
        print_json({"root": key.key_id, "private": str(out), "public": f"{out}.pub"})
    else:
        say(f"root {key.key_id} in {out}; its public half, {out}.pub, is what others need.")


@keys_app.command("sign-root")
def sign_root(
    key: Annotated[str, typer.Option("--key", metavar="FILE|BACKEND", help="The root: its file, or who holds it.")],
    draft: Annotated[Path, typer.Option("--draft", metavar="FILE", help="What `--draft` wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="SIG", help="The signature, for `keys install`.")],
) -> None:
    """Sign a draft as the holder of a root. Needs no home, no database and no network."""
    from ledger_core.ceremony import offline

    offline.sign_file(key, draft, out, show=say)


def _change(
    action: str,
    draft: Path | None,
    json: bool,
    *,
    next_key: Path | None = None,
    roots: tuple[Any, ...] = (None, None, None),
    **more: Any,
) -> None:
    from ledger_core.ceremony.drafts import RootChange, Wish
    from ledger_core.ceremony.run import change_now

    add, remove, threshold = roots
    wish = Wish(
        action=action,
        roots=RootChange(add=tuple(add or ()), remove=tuple(remove or ()), threshold=threshold),
        **more,
    )
    if draft is not None:
        _draft(wish, draft, next_key, json)
        return
    if next_key is not None:
        raise InvalidInput("--next goes with --draft.", remedy="Name the draft that the roots are to sign.")
    with opened(quiet=json, signer=False) as runtime:
        done = change_now(runtime, wish, actor=operator(runtime.settings))
    _print(done, json)


def _draft(wish: Any, draft: Path, next_key: Path | None, json: bool) -> None:
    from ledger_core.base.files import write_once
    from ledger_core.ceremony.drafts import lines_of
    from ledger_core.ceremony.offline import refuse_private
    from ledger_core.ceremony.run import make_draft_files

    refuse_private(draft)
    with opened(quiet=json, signer=False) as runtime:
        payload, proofs = make_draft_files(runtime, wish, next_key=next_key, drop=note_dropped, say=note)
        beside = draft.with_name(f"{draft.name}.proofs")
        if proofs is not None:
            write_once(beside, proofs, mode=0o644)
        write_once(draft, payload, mode=0o644)
        elsewhere = runtime.settings.signing.url is not None
    if json:
        beside_it = {} if proofs is None else {"proofs": str(beside)}
        print_json({"draft": str(draft), **beside_it, "compare": lines_of(payload)})
        return
    for line in lines_of(payload):
        say(line)
    there = "`ceremony.host install` on the proxy's host"
    then = f"{there if elsewhere else '`keys install`'} what they signed"
    say(f"{draft}: have a threshold of the roots sign it (`keys sign-root`), then {then}.")
    if proofs is not None:
        say(f"{beside}: goes to the proxy's host with it (`install --proofs`).")


def note_dropped(line: str) -> None:
    """Say beside the output which evidence does not count."""
    note(f"evidence that does not count: {line}")


def _print(done: Any, json: bool) -> None:
    from ledger_core.ceremony.tell import lines_of

    if json:
        print_json({**_plain(done), "tell": lines_of(done)})
        return
    for line in lines_of(done):
        say(line)


def _plain(done: Any) -> dict[str, Any]:
    change = done.change
    return {
        "action": change.action,
        "key_id": change.key_id,
        "successor": change.successor,
        "registry_version": change.version,
        "registry_sha256": change.sha256,
        "was_begun": done.was_begun,
        "recorded": done.recorded,
        "not_recorded": done.not_recorded,
        "statements": done.statements,
        "dropped": done.dropped,
        "logs": {origin: {"size": item.size, "good_size": item.good_size} for origin, item in change.logs.items()},
    }
