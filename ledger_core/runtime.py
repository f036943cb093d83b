"""The wiring: what a command, the API and the pipeline need, opened once and handed down.

Opening starts what is lacking (embedded Postgres, signing proxy) and brings the schemas to their heads. What was
started stays until `counterfoil down`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from ledger_core.archive import open_archive
from ledger_core.base.engine import make_engine, parse_url, require_server
from ledger_core.base.files import private_folder, private_umask
from ledger_core.base.migrate import migrate
from ledger_core.base.objects.file import FileStore
from ledger_core.base.objects.port import ObjectStore
from ledger_core.base.promises import require_promises
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.book.kinds import Kinds
from ledger_core.book.security_events import SecurityEvents
from ledger_core.errors import CounterfoilError, LedgerBehind, SignerRefused
from ledger_core.kinds import Kind
from ledger_core.services import (
    embedded_url,
    home_mode,
    open_signer,
    postgres_service,
    process_group,
)
from ledger_core.settings import Settings
from ledger_core.settings.strict import refuse_what_is_weak
from ledger_core.signing.client import SigningClient
from ledger_core.wrapping import open_wrapping

if TYPE_CHECKING:
    from ledger_core.book.behind import Behind
    from ledger_core.ports import ErasableFiles, LedgerPort

Progress = Callable[[str], None]


def system_clock() -> datetime:
    """Return the time of day in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Runtime:
    """Everything that talks to the outside; close it to end our connections, not the processes."""

    settings: Settings
    database_url: str
    engine: Engine
    open_signer: Callable[[], SigningClient]
    """How the proxy is reached, and started where it is this home's; asked once, by whoever needs it first."""
    archive: ObjectStore
    raw_store: ObjectStore
    wrapping: KeyWrapping
    """Who wraps the keys of landed files; nothing is opened before a key is wrapped or read."""
    security: SecurityEvents
    """What should not have happened and waits for its record."""
    kinds: Kinds = field(default_factory=Kinds)
    """The kinds of record that books of this runtime take."""
    clock: Callable[[], datetime] = system_clock
    _ledgers: dict[str, LedgerPort] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _behind: Behind | None = None
    _signer: SigningClient | None = None
    _signer_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def trust_path(self) -> Path:
        return self.settings.home / "trust.json"

    @property
    def signer(self) -> SigningClient:
        """The client of the signing proxy."""
        with self._signer_lock:
            if self._signer is None:
                self._signer = self.open_signer()
            return self._signer

    def ledger(self, book: str | None = None) -> LedgerPort:
        """Return the posting library for `book`, opening the book if it does not exist."""
        name = book or self.settings.book
        with self._lock:
            if name not in self._ledgers:
                self._ledgers[name] = self._open_ledger(name)
            return self._ledgers[name]

    def _open_ledger(self, name: str) -> LedgerPort:
        if self.settings.ledger_url:
            from ledger_core.client.http_ledger import HttpLedger

            return HttpLedger(self.settings, name)
        from ledger_core.book.ledger import Ledger

        ledger = Ledger.open(self, name)
        ledger.report_to(self.security)
        return ledger

    def withheld(self, book: str) -> CounterfoilError | None:
        """Return why nothing that may have been erased of `book` is shown now, None where it may be.

        A ledger that was stopped because its book is behind says so until this process is started again.
        """
        ledger = self._ledgers.get(book)
        if ledger is not None and isinstance(ledger.fault, LedgerBehind):
            return ledger.fault
        with self._lock:
            if self._behind is None:
                from ledger_core.book.behind import Behind

                self._behind = Behind(self)
        return self._behind.reason(book)

    def forget_old_keys(self, book: str | None = None) -> int:
        """Forget, a slice at a time, the idempotency keys of `book` that are past their month; return how many."""
        from ledger_core.book.posting.idempotency import forget_outcomes

        forgotten = 0
        with closing(self.engine.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            while removed := forget_outcomes(driver, book or self.settings.book):
                connection.commit()
                forgotten += removed
        return forgotten

    def let_go_of_signer(self) -> None:
        """Close this thread's connection to the proxy, if there is one; whoever asks it next opens another."""
        with self._signer_lock:
            if self._signer is not None:
                self._signer.close()

    def close(self) -> None:
        """Let queued work finish and give the connections back."""
        with self._lock:
            for ledger in self._ledgers.values():
                ledger.close()
            self._ledgers.clear()
        self.let_go_of_signer()
        self.wrapping.close()
        self.engine.dispose()


@contextmanager
def open_runtime(
    settings: Settings,
    *,
    kinds: Iterable[Kind] = (),
    files: ErasableFiles | None = None,
    progress: Progress | None = None,
    signer: bool = True,
) -> Iterator[Runtime]:
    """Open the runtime of `settings`' home; `kinds` are those that rooms above bring beside the ledger's own.

    `files` is the room whose files an erasure may name.
    Without `signer` the proxy is not reached before somebody asks for it: its key may be switched off, and whoever
    changes keys must go on then. Raises `ConfigurationError` when no home is named or found, `DependencyError` when
    something does not start.
    """
    refuse_what_is_weak(settings)
    home = settings.home
    private_folder(home, mode=home_mode(settings))
    for folder in ("run", "landing", "reports"):
        private_folder(home / folder)
    with private_umask(), _opened(settings, Kinds(kinds, files=files), progress) as runtime:
        if signer:
            _ = runtime.signer
        yield runtime


@contextmanager
def _opened(settings: Settings, kinds: Kinds, progress: Progress | None) -> Iterator[Runtime]:
    home = settings.home
    url = ensure_database(settings, progress=progress)
    security = SecurityEvents(home / "security", clock=lambda: runtime.clock())

    def keep_refusal(origin: str, refusal: SignerRefused) -> None:
        below = origin.startswith(settings.origin_prefix)
        security.refused(origin.removeprefix(settings.origin_prefix) if below else settings.book, origin, refusal)

    runtime = Runtime(
        settings=settings,
        database_url=url,
        engine=make_engine(url),
        open_signer=lambda: open_signer(settings, progress=progress, on_refused=keep_refusal),
        archive=open_archive(settings, system_clock),
        raw_store=FileStore(home / "raw"),
        wrapping=open_wrapping(settings),
        security=security,
        kinds=kinds,
    )
    try:
        yield runtime
    finally:
        runtime.close()


def ensure_database(settings: Settings, *, progress: Progress | None = None) -> str:
    """Return the address of a database whose schemas stand at their heads, starting the embedded server if need be."""
    if settings.database_url:
        url = parse_url(settings.database_url).render_as_string(hide_password=False)
    else:
        record = process_group(settings).ensure(postgres_service(settings), progress=progress)
        url = embedded_url(settings, record.address)
    login = make_engine(url, role="login", application="counterfoil-migrate", pool_size=1)
    try:
        require_server(login)
        migrate(login)
        require_promises(login, durable=settings.env != "test")
    finally:
        login.dispose()
    return url
