"""The kinds of record that a book takes: one module a kind, each from its draft to the table that a check re-derives.

The ledger's own are listed here, rooms above hand theirs in when the runtime is opened. The list decides what is
appended, what a check re-derives and what this process' verifier can judge; `log/shapes.py` is what every verifier can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from ledger_core.book.kinds.account import ACCOUNT
from ledger_core.book.kinds.book import BOOK
from ledger_core.book.kinds.erasure import ERASURE
from ledger_core.book.kinds.export import EXPORT
from ledger_core.book.kinds.journal_entry import JOURNAL_ENTRY
from ledger_core.book.kinds.reconciliation_run import RECONCILIATION_RUN
from ledger_core.book.kinds.security_event import SECURITY_EVENT
from ledger_core.book.kinds.signing_key import SIGNING_KEY
from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.kinds import Kind
from ledger_core.log.shapes import Shape
from ledger_core.ports import Draft, ErasableFiles

OWN: tuple[Kind, ...] = (
    BOOK, JOURNAL_ENTRY, ACCOUNT, EXPORT, RECONCILIATION_RUN, SIGNING_KEY, SECURITY_EVENT, ERASURE,
)  # fmt: skip


class Kinds:
    """The ledger's own kinds and those of rooms above; `files` is the room whose files an erasure may name.

    Raises `ConfigurationError` for a name that is taken.
    """

    def __init__(self, further: Iterable[Kind] = (), *, files: ErasableFiles | None = None) -> None:
        self._by_name: dict[str, Kind] = {}
        own = [replace(ERASURE, files=files) if kind is ERASURE else kind for kind in OWN]
        for kind in (*own, *further):
            if kind.name in self._by_name:
                raise ConfigurationError(
                    f"two kinds of record are called {kind.name}.", remedy="Give the room's kind a name of its own."
                )
            self._by_name[kind.name] = kind
        self.shapes: Mapping[str, Shape] = MappingProxyType({kind.name: kind.shape for kind in self})
        self.scopes: Mapping[str, str] = MappingProxyType({kind.name: kind.scope for kind in self if kind.scope})
        """What a caller over HTTP must hold, for each kind that is appended as a `RecordDraft`."""

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_name.values())

    def of(self, draft: Draft) -> Kind:
        """Return the kind that `draft` becomes. Raises `InvalidInput` for one that nobody brought."""
        kind = self._by_name.get(draft.kind)
        if kind is None or not kind.accepts(draft):
            raise InvalidInput(
                f"records of kind {draft.kind!r:.40} are not appended as such.",
                pointer="/kind",
                remedy=f"Known here: {', '.join(sorted(self.scopes))}.",
            )
        return kind
