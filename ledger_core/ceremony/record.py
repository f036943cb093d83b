"""The record of a change of keys: the statements beside the home's keys, and a `signing_key` record in each log.

The change is made by then, whatever becomes of its record. Invariants: the statements are written before any log is
asked; a log that cannot take its record holds up neither the others nor the next change of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.base.files import private_folder, write_once
from ledger_core.ceremony.desk import signer_folder
from ledger_core.ceremony.shown import NO_ANSWER
from ledger_core.errors import CounterfoilError, NotFound
from ledger_core.ports import Ask, Posted, RecordDraft
from ledger_core.reading.heads import read_head
from ledger_core.signing.change import Change, LogChange, forget_change, read_change, set_aside, untold

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

STATEMENTS_FOLDER = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A change that is through: the `signing_key` record of each log, and why a log has none here."""

    change: Change
    was_begun: bool
    recorded: dict[str, int] = field(default_factory=dict)
    not_recorded: dict[str, str] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)
    """The logs whose record is tried again."""
    statements: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Evidence that does not count, and why."""


def through(runtime: Runtime, change: Change, *, actor: Actor, dropped: Sequence[str] = ()) -> Done:
    """Tell of a change that was just made, and before it of those that were set aside.

    Where a log cannot take its record the change is kept: the same command tries again.
    """
    folder = signer_folder(runtime)
    _tell_untold(runtime, folder, actor)
    done = tell(runtime, change, actor=actor, was_begun=False)
    done.dropped.extend(dropped)
    if not done.untold:
        forget_change(folder)
    return done


def finish(runtime: Runtime, change: Change, *, actor: Actor) -> Done:
    """Tell of a change that was begun. What cannot be told now again is set aside: it holds up no other change."""
    folder = signer_folder(runtime)
    _tell_untold(runtime, folder, actor)
    done = tell(runtime, change, actor=actor, was_begun=True)
    if done.untold:
        set_aside(folder, change)
    else:
        forget_change(folder)
    return done


def _tell_untold(runtime: Runtime, folder: Path, actor: Actor) -> None:
    for path in untold(folder):
        try:
            earlier = read_change(folder, path.name)
        except CounterfoilError:
            continue  # it stays for whoever mends it; what is made now is told
        if earlier is None or not tell(runtime, earlier, actor=actor, was_begun=True).untold:
            path.unlink(missing_ok=True)


def tell(runtime: Runtime, change: Change, *, actor: Actor, was_begun: bool) -> Done:
    """Write the statements down, then append the record to each log that is here and can take it."""
    done = Done(change=change, was_begun=was_begun)
    folder = runtime.home / STATEMENTS_FOLDER
    for origin, item in change.logs.items():
        if item.statement is not None:
            private_folder(folder)
            path = folder / f"compromise-{change.version}-{origin.rpartition('/')[2]}.dsse.json"
            write_once(path, item.statement.encode() + b"\n", mode=0o644)
            done.statements.append(str(path))
    for origin, item in change.logs.items():
        book = origin.rpartition("/")[2]
        try:
            with runtime.engine.connect() as connection:
                if read_head(connection, book).origin != origin:
                    raise NotFound(f"book {book} here is another log.")
        except NotFound as error:
            done.not_recorded[origin] = error.message
            continue
        except NO_ANSWER as error:
            _not_told(done, origin, error)
            continue
        ask = Ask(actor=actor, route="signing_key", key=f"signing_key/{change.version}")
        record = RecordDraft(kind="signing_key", body=_body(change, item))
        try:
            answer = runtime.ledger(book).append([record], ask, atomic=True)
        except NO_ANSWER as error:
            _not_told(done, origin, error)
            continue
        posted = answer.items[0]
        assert isinstance(posted, Posted), "an atomic request raises what it is refused"
        done.recorded[origin] = posted.seq
    return done


def _not_told(done: Done, origin: str, error: Exception) -> None:
    done.not_recorded[origin] = error.message if isinstance(error, CounterfoilError) else str(error).split("\n")[0]
    done.untold.append(origin)


def _body(change: Change, item: LogChange) -> dict[str, Any]:
    said = {
        "action": change.action,
        "key_id": change.key_id,
        "successor": change.successor,
        "registry_version": change.version,
        "registry_sha256": change.sha256,
        "size": item.size,
        "root": item.root,
        "note": item.note or None,
        "good_size": item.good_size,
        "good_root": item.good_root,
        "good_note": item.good_note,
        "statement": item.statement,
    }
    return {name: value for name, value in said.items() if value is not None}
