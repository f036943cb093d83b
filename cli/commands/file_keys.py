"""`file-keys`: under which key-encryption key the keys of landed files lie, and how that changes.

Not the keys that sign, which are `keys`. None of these reaches the signing proxy.
"""

from __future__ import annotations

import os
from typing import Any

import typer

from cli.errors import NO
from cli.output import JsonFlag, note, print_json, progress, say, table
from cli.runtime import opened
from ledger_core.errors import CounterfoilError

file_keys_app = typer.Typer(help="The keys of landed files, and the key that wraps them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(file_keys_app, name="file-keys")


@file_keys_app.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """Show which key wraps, how many keys of files lie under which, and whether the one that wraps opens again."""
    from ingest.landing.file_keys import held

    with opened(quiet=json, signer=False) as runtime:
        current, trouble = None, None
        try:
            current = runtime.wrapping.current
            _probe(runtime)
        except CounterfoilError as error:
            trouble = error
        rows = held(runtime.engine)
    left = 0 if current is None else sum(row.keys for row in rows if row.by != current)
    if json:
        said = {"wraps": current, "opens": trouble is None, "keys": rows, "under_others": left}
        print_json(said | ({} if trouble is None else {"why": str(trouble)}))
    else:
        say(f"wraps: {current or 'nothing'}")
        say("opens what it wraps" if trouble is None else f"does not open what it wraps: {trouble}")
        table(
            [{"under": "in plain" if row.by is None else row.by, "keys": row.keys} for row in rows], ["under", "keys"]
        )
        if left:
            note(f"{left} keys lie under another key: `counterfoil file-keys rewrap`.")
    if trouble is not None or left:
        raise typer.Exit(NO)


@file_keys_app.command()
def rewrap(json: JsonFlag = False) -> None:
    """Wrap every key of a file anew under the key of the settings; may be stopped at any time, and run again."""
    with opened(quiet=json, signer=False) as runtime:
        _rewrap(runtime, json)


@file_keys_app.command()
def rotate(json: JsonFlag = False) -> None:
    """Make the next key-encryption key, where it lies in the home, and wrap every key of a file anew under it."""
    with opened(quiet=json, signer=False) as runtime:
        made = runtime.wrapping.rotate()
        if not json:
            say(f"made: {made}")
        _rewrap(runtime, json)


def _rewrap(runtime: Any, json: bool) -> None:
    from ingest.landing.file_keys import rewrap as wrap_anew

    with progress("wrapping", quiet=json) as update:
        done = wrap_anew(runtime, progress=update)
    if json:
        print_json(done)
    else:
        say(f"{done.rewrapped} keys of files wrapped anew under {done.current}; {done.left} lie under another key.")
        for file_id, why in done.failures:
            note(f"{file_id}: {why}")
        if done.failed > len(done.failures):
            note(f"{done.failed - len(done.failures)} more that could not be opened")
    if done.left:
        raise typer.Exit(NO)


def _probe(runtime: Any) -> None:
    """Wrap a key that is for nothing, and open it again."""
    from ledger_core.errors import IntegrityError

    key, context = os.urandom(32), {"counterfoil": "probe"}
    if runtime.wrapping.unwrap(runtime.wrapping.wrap(key, context), context) != key:
        raise IntegrityError("what was opened is not what was wrapped.", remedy="Let nothing land: look at the keeper.")
