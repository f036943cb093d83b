"""What a provider of webhooks is to the inbox: who verifies a delivery, and what an event means for the books.

A provider is one module of `providers/` with a `PROVIDER`; nothing else names it. Invariants: what `verify` returns was
signed for this account just now, and says of each event under which id it is known for ever; `handle` writes nothing,
so that it may be asked again after any crash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ingest.inbox.accounts import ProviderAccount

MAX_BODY_BYTES = 256 * 1024
TOLERANCE_SECONDS = 300
"""How old a signature may be, unless the account says otherwise."""
SKEW_SECONDS = 30
"""How far a provider's clock may be ahead of ours."""
MAX_EVENTS = 500
"""Of one delivery."""
MAX_ID_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request as it came: `headers` by their names in lower case, the body unread."""

    headers: Mapping[str, str]
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One event of a delivery.

    `version` orders what is said of one object by events of one type; `told` is what is said of it, by which a second
    event of one fact is known. `payload` is all that is kept.
    """

    event_id: str
    type: str
    object_id: str
    version: int
    occurred_at: datetime | None
    told: Mapping[str, Any] = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a delivery came to. `delivery_id` is the delivery's own, where the provider gives it one."""

    events: tuple[Verified, ...]
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored event, as it is handed to whoever knows what it means."""

    provider: str
    account: str
    event_id: str
    type: str
    object_id: str
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be posted: a template of the journal by name, filled from `fields`.

    `key` is the object's own id at the provider: with the template it names the entry for ever.
    """

    template: str
    key: str
    effective_at: datetime
    currency: str
    fields: Mapping[str, int]
    """By name, in minor units of `currency`; a template says which it needs."""
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """The event moves money: these entries say so."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    """What is needed is not there yet; ask again later."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Nothing to post, and nothing will be."""

    reason: str


Outcome = Drafts | Defer | Ignore


class Fetch(Protocol):
    """The provider's own API, asked for one object as it stands now."""

    def fetch(self, kind: str, object_id: str, *, on_behalf_of: str | None = None) -> Mapping[str, Any]:
        """Return the object. Raises `NotFound`; `DependencyError` for what may pass; `ConfigurationError`."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class Verifier(Protocol):
    """Safe for threads; kept for as long as the process lives."""

    def verify(self, delivery: Delivery, account: ProviderAccount) -> Accepted:
        """Return what the provider signed. Raises `DeliveryRefused`; `DependencyError` for what may pass."""
        ...


class Handler(Protocol):
    """Safe for threads."""

    def handle(self, event: Event) -> Outcome:
        """Return what the event means. Raises `DependencyError` for what may pass, other errors for what will not."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the provider wants to hear once everything is stored."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider of webhooks."""

    name: str
    secret_form: str
    """What a secret of it looks like, for whoever sets one."""
    check_secret: Callable[[str], bool]
    make_verifier: Callable[[], Verifier]
    make_handler: Callable[[ProviderAccount], Handler]
    reply: Reply = field(default=Reply(content=b'{"received":true}', media_type="application/json"))
    media_types: frozenset[str] = frozenset({"application/json"})


class NewsOnly:
    """The handler of a provider whose webhooks prove too little to be posted from."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def handle(self, event: Event) -> Outcome:
        """Return that there is nothing to post."""
        del event
        return Ignore(reason=self._reason)

    def close(self) -> None:
        """Do nothing: nothing is held open."""
