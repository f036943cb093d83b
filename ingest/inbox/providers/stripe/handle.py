"""What Stripe's events mean for the books: the object is fetched, its balance transactions say the amounts.

What an event carries is never posted from, and the order of events never trusted: a payout that failed is posted with
its failure whichever of the two events comes first, and an object whose balance transaction is not there yet waits.
Money is booked on events of funds, not on notices. Amounts are those of the settlement. Sources:
docs.stripe.com/api/events/types, docs.stripe.com/reports/reporting-categories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ingest.inbox.port import Defer, Draft, Drafts, Event, Fetch, Ignore, Outcome
from ingest.inbox.providers.stripe.fetch import TRANSACTIONS_OF
from ingest.inbox.providers.stripe.transactions import Transaction, captured, draft_of, read_transaction
from ledger_core.errors import InvalidInput

_FAILED = ("failed", "canceled")


class StripeHandler:
    """Fulfils `ingest.inbox.port.Handler`."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def handle(self, event: Event) -> Outcome:
        """Return the entries of an event that moves money; other events are let be."""
        found = _EVENTS.get(event.type)
        if found is None:
            return Ignore(reason=f"{event.type} moves no money here")
        kind, read = found
        owner = event.payload.get("account")
        whose = owner if isinstance(owner, str) else None
        return read(self, event, self._fetch.fetch(kind, event.object_id, on_behalf_of=whose), whose)

    def close(self) -> None:
        """Let go of Stripe's API."""
        self._fetch.close()

    def charge(self, event: Event, charge: Mapping[str, Any], whose: str | None) -> Outcome:
        """Read a charge: posted once it is captured and its balance transaction is there."""
        if charge.get("status") != "succeeded":
            return Ignore(reason=f"the charge is {charge.get('status')}")
        if charge.get("captured") is not True:
            return Ignore(reason="the charge is authorised and not captured: nothing moved")
        first = read_transaction(charge.get("balance_transaction"))
        if first is None:
            return Defer(reason="the charge has no balance transaction yet")
        transactions = [first]
        if _whole(charge, "amount_captured") < _whole(charge, "amount"):
            page = self._fetch.fetch(TRANSACTIONS_OF, event.object_id, on_behalf_of=whose)
            found = captured(charge, first, page)
            if found is None:
                return Defer(reason="the part that was not captured has no balance transaction yet")
            transactions = found
        return Drafts(drafts=(draft_of("charge_captured", event.object_id, transactions),))

    def refund(self, event: Event, refund: Mapping[str, Any], _whose: str | None) -> Outcome:
        """Read a refund, and its failure where it failed."""
        went = read_transaction(refund.get("balance_transaction"))
        came_back = read_transaction(refund.get("failure_balance_transaction"))
        if went is None:
            if refund.get("status") in _FAILED:
                return Ignore(reason=f"the refund {refund.get('status')} before money moved")
            return Defer(reason="the refund has no balance transaction yet")
        template = "refund" if went.fee >= 0 else "refund_fee_returned"
        drafts = [draft_of(template, event.object_id, [went], sign=-1)]
        return self._with_failure(event, drafts, refund, came_back, "refund_failed")

    def payout(self, event: Event, payout: Mapping[str, Any], _whose: str | None) -> Outcome:
        """Read a payout, and its return where it failed; "paid" is not final."""
        went = read_transaction(payout.get("balance_transaction"))
        if went is None:
            return Defer(reason="the payout has no balance transaction yet")
        came_back = read_transaction(payout.get("failure_balance_transaction"))
        drafts = [draft_of("payout_paid", event.object_id, [went], sign=-1)]
        return self._with_failure(event, drafts, payout, came_back, "payout_failed")

    def dispute(self, event: Event, dispute: Mapping[str, Any], _whose: str | None) -> Outcome:
        """Read a dispute: what was withdrawn, what was reinstated, and what is lost once it is closed so."""
        listed = dispute.get("balance_transactions")
        found = [read_transaction(item) for item in listed] if isinstance(listed, list) else []
        transactions = [item for item in found if item is not None]
        withdrawn = [item for item in transactions if item.of_withdrawal]
        reinstated = [item for item in transactions if not item.of_withdrawal]
        wanted = reinstated if event.type.endswith("funds_reinstated") else withdrawn
        if not wanted:
            if event.type.endswith("closed"):
                return Ignore(reason="the dispute was closed without money moved")
            return Defer(reason="the dispute has no such balance transaction yet")
        drafts = [draft_of("dispute_funds_withdrawn", event.object_id, withdrawn, sign=-1)] if withdrawn else []
        if reinstated:
            drafts.append(draft_of("dispute_won", event.object_id, reinstated))
        elif dispute.get("status") == "lost":
            drafts.append(draft_of("dispute_lost", event.object_id, withdrawn, sign=-1))
        return Drafts(drafts=tuple(drafts))

    def _with_failure(
        self, event: Event, drafts: list[Draft], told: Mapping[str, Any], failure: Transaction | None, template: str
    ) -> Outcome:
        if failure is not None:
            drafts.append(draft_of(template, event.object_id, [failure]))
        elif told.get("status") in _FAILED:
            return Defer(reason="the failure has no balance transaction yet")
        return Drafts(drafts=tuple(drafts))


_Read = Callable[[StripeHandler, Event, Mapping[str, Any], str | None], Outcome]
_EVENTS: Mapping[str, tuple[str, _Read]] = {
    "charge.succeeded": ("charge", StripeHandler.charge),
    "charge.updated": ("charge", StripeHandler.charge),
    "charge.captured": ("charge", StripeHandler.charge),
    "refund.created": ("refund", StripeHandler.refund),
    "refund.updated": ("refund", StripeHandler.refund),
    "refund.failed": ("refund", StripeHandler.refund),
    "charge.refund.updated": ("refund", StripeHandler.refund),  # what endpoints of older versions get
    "charge.dispute.funds_withdrawn": ("dispute", StripeHandler.dispute),
    "charge.dispute.funds_reinstated": ("dispute", StripeHandler.dispute),
    "charge.dispute.closed": ("dispute", StripeHandler.dispute),
    "payout.paid": ("payout", StripeHandler.payout),
    "payout.failed": ("payout", StripeHandler.payout),
    "payout.canceled": ("payout", StripeHandler.payout),
}
"""By type: the kind of object that is fetched, and who reads it."""


def _whole(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    if type(value) is not int:
        raise InvalidInput(f"Stripe's object says no whole number for `{name}`.", pointer=f"/{name}")
    return value
