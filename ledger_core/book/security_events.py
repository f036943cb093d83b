"""What should not have happened, kept until a book can record it: refused signatures, rejected forks, failed proofs.

A refused signature cannot be signed at that moment, and a book that was stopped by one takes nothing more in this
process. So an event is a file in the home first, and a `security_event` record at the next success, of this process or
of another one of the home: one record a kind, subject and minute, with a count. Invariants: to keep an event never
raises and never waits for the ledger; a file goes when its record is signed; the same file twice is one record.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from ledger_core.actor import Actor
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, Refused, SignerRefused
from ledger_core.ports import Answer, Ask, LedgerPort, RecordDraft

REFUSED, FORK, FAILED = "signature_refused", "fork_rejected", "verification_failed"
CONTRADICTED = "log_contradicted"
MAX_WAITING = 1_000
"""Files that wait, of all books of a home; what comes then is said in the log alone."""
MAX_COUNT = 1_000_000
MAX_DETAIL_CHARACTERS = 500
MAX_FLUSHED = 50
LOOK_SECONDS = 1.0
_FORKS = frozenset({"fork", "unknown_history"})

_BOOK = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")

_log = logging.getLogger("counterfoil.security")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One file: the event, and a byte more for each time that it happened again in its minute."""

    path: Path
    data: bytes

    def draft(self) -> RecordDraft:
        """Return the record."""
        line, _, again = self.data.partition(b"\n")
        event = json.loads(line)
        del event["id"]
        return RecordDraft(kind="security_event", body={**event, "count": min(1 + len(again), MAX_COUNT)})

    def ask(self) -> Ask:
        """Return who asks, and the key by which the same file is the same record."""
        # The file's own id is in it: two hosts may see the same in the same minute, and each has its record.
        key = f"security-event/{sha256(self.data).hexdigest()}"
        return Ask(actor=Actor(subject="counterfoil", role="service"), key=key)


class SecurityEvents:
    """The events of one home that wait for their record. Safe for threads and for several processes."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder, self._clock = folder, clock
        self._looked_at: dict[str, float] = {}
        self._under_way: set[Path] = set()

    def refused(self, book: str, subject: str, refusal: SignerRefused) -> None:
        """Keep that the proxy refused something about `subject`, a log's origin."""
        reason = str(refusal.context.get("reason") or "refused")
        self.keep(book, FORK if reason in _FORKS else REFUSED, subject, reason, refusal.message)

    def contradicted(self, book: str, subject: str, error: IntegrityError) -> None:
        """Keep that the book was stopped because log and proxy contradict each other."""
        reason = str(error.context.get("reason") or error.code)
        self.keep(book, FORK if reason in _FORKS else CONTRADICTED, subject, reason, error.message)

    def stopped(self, book: str, subject: str, error: CounterfoilError) -> None:
        """Keep why the sequencer of `book` stopped, if it was for a contradiction; a refusal is kept already."""
        if isinstance(error, IntegrityError) and not isinstance(error, SignerRefused):
            self.contradicted(book, subject, error)

    def keep(self, book: str, event: str, subject: str, reason: str, detail: str) -> None:
        """Keep one event; the same in the same minute is counted."""
        minute = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
        known = sha256(f"{event}\0{subject}".encode("utf-8", "replace")).hexdigest()[:16]
        book = book if _BOOK.match(book) else "other"
        path = self._folder / book / f"{minute.replace(':', '')}-{known}"
        said = {"detail": detail, "event": event, "minute": minute, "reason": reason, "subject": subject}
        said = {name: _plain(text) for name, text in said.items()}
        line = json.dumps({"id": token_hex(8)} | said, sort_keys=True).encode() + b"\n"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists() and len(list(self._folder.glob("*/*"))) >= MAX_WAITING:
                raise OSError(f"{MAX_WAITING} events wait already")
            _append(path, line, self._folder / f"new-{token_hex(8)}")
        except OSError as error:
            _log.error("the next event cannot be kept: %s", error)
        _log.warning("%s: %s: %s", said["event"], said["subject"], said["detail"])

    def flush(self, ledger: LedgerPort) -> list[Future[Answer]]:
        """Hand what waits of `ledger`'s book, its minute being over, to the book; return what is to be answered.

        Looks at most once a second. What the book does not take now waits on.
        """
        now = time.monotonic()
        if now - self._looked_at.get(ledger.book, -LOOK_SECONDS) < LOOK_SECONDS:
            return []
        self._looked_at[ledger.book] = now
        handed = []
        for waiting in list(self._due(ledger.book))[:MAX_FLUSHED]:
            try:
                (submission,) = ledger.submit([waiting.draft()], waiting.ask(), atomic=True)
            except (Refused, InvalidInput) as error:
                self._put_aside(waiting, error)
                continue
            except (CounterfoilError, ValueError) as error:
                _log.info("events of %s wait on: %s", ledger.book, error)
                break
            self._under_way.add(waiting.path)
            submission.future.add_done_callback(partial(self._done, waiting))
            handed.append(submission.future)
        return handed

    def _due(self, book: str) -> Iterator[_Waiting]:
        minute = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H%MZ")
        try:
            paths = sorted((self._folder / book).iterdir())
        except OSError:
            return
        for path in paths:
            is_over = path.name[: len(minute)] < minute and path.suffix != ".aside"
            if is_over and path not in self._under_way:
                try:
                    data = path.read_bytes()
                except OSError:
                    continue  # another process was faster
                if data:  # or it is of a release that made it first and wrote then
                    yield _Waiting(path, data)

    def _done(self, waiting: _Waiting, future: Future[Answer]) -> None:
        self._under_way.discard(waiting.path)
        error = None if future.cancelled() else future.exception()
        if isinstance(error, Refused | InvalidInput):
            self._put_aside(waiting, error)
        elif error is None and not future.cancelled():
            waiting.path.unlink(missing_ok=True)

    def _put_aside(self, waiting: _Waiting, error: CounterfoilError) -> None:
        _log.error("%s is no record and was put aside: %s", waiting.path.name, error)
        try:
            waiting.path.rename(waiting.path.with_name(f"{waiting.path.name}.aside"))
        except OSError:
            return


def _append(path: Path, line: bytes, aside: Path) -> None:
    """Make the file with `line`, or add one byte to the one that is there.

    It has its line before it has its name, so that nobody who finds it writes before that; and nobody waits for a lock.
    """
    if not path.exists():
        try:
            aside.write_bytes(line)
            aside.chmod(0o600)
            os.link(aside, path)
            return
        except FileExistsError:
            pass
        finally:
            aside.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if os.fstat(handle).st_size < MAX_COUNT:
            os.write(handle, b"+")
    finally:
        os.close(handle)


def _plain(text: str) -> str:
    """Return `text` as a record can hold it: short, and without what is no character."""
    known = text.encode("utf-8", "replace").decode("utf-8")[:MAX_DETAIL_CHARACTERS].replace("\0", "?")
    return unicodedata.normalize("NFC", known)
