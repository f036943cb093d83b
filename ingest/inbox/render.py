"""Drafts as journal entries: a small table of templates, until the ledger's own take its place.

`render` is the only name that is used from elsewhere. A template is a list of lines: a side, the role of an account, a
field. An amount of 0 has no line, a negative one stands on the other side. The provider's account says which account of
the book a role is. Invariant: what comes out is balanced, is named for ever by its `external_id`, and is the same each
time but for the trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.port import Draft
from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.journal.entries import CREDIT, DEBIT, EntryDraft, PostingDraft, check_balanced

_Line = tuple[str, str, str]
TEMPLATES: Final[Mapping[str, tuple[_Line, ...]]] = {
    "charge_captured": ((DEBIT, "clearing", "net"), (DEBIT, "fees", "fee"), (CREDIT, "revenue", "gross")),
    "refund": ((DEBIT, "refunds", "gross"), (DEBIT, "fees", "fee"), (CREDIT, "clearing", "net")),
    "refund_fee_returned": ((DEBIT, "refunds", "gross"), (DEBIT, "fees", "fee"), (CREDIT, "clearing", "net")),
    "refund_failed": ((DEBIT, "clearing", "net"), (DEBIT, "fees", "fee"), (CREDIT, "refunds", "gross")),
    "dispute_funds_withdrawn": (
        (DEBIT, "disputes", "gross"), (DEBIT, "dispute_costs", "fee"), (CREDIT, "clearing", "net"),
    ),
    "dispute_won": ((DEBIT, "clearing", "net"), (DEBIT, "dispute_costs", "fee"), (CREDIT, "disputes", "gross")),
    "dispute_lost": ((DEBIT, "dispute_costs", "gross"), (CREDIT, "disputes", "gross")),
    "payout_paid": ((DEBIT, "in_transit", "gross"), (DEBIT, "fees", "fee"), (CREDIT, "clearing", "net")),
    "payout_failed": ((DEBIT, "clearing", "net"), (DEBIT, "fees", "fee"), (CREDIT, "in_transit", "gross")),
}  # fmt: skip
ROLES = tuple(sorted({role for lines in TEMPLATES.values() for _, role, _ in lines}))


def external_id_of(draft: Draft, account: ProviderAccount) -> str:
    """Return the name that the draft's entry has for ever, whichever event told of it."""
    return f"{account.provider}:{account.account}:{draft.key}:{draft.template}"


def render(draft: Draft, account: ProviderAccount, *, trace_id: str, event_id: str) -> EntryDraft:
    """Return the entry. Raises `ConfigurationError` for a role without an account, `InvalidInput`."""
    lines = TEMPLATES.get(draft.template)
    if lines is None:
        raise InvalidInput(f"there is no template {draft.template!r}.")
    postings = tuple(
        PostingDraft(
            account=_code(role, draft.currency, account),
            direction=side if draft.fields[name] > 0 else _other(side),
            amount_minor=abs(draft.fields[name]),
            currency=draft.currency,
        )
        for side, role, name in lines
        if draft.fields[name]
    )
    if not postings:
        raise InvalidInput(f"{draft.key} is of nothing: every amount is 0.")
    entry = EntryDraft(
        effective_at=draft.effective_at,
        external_id=external_id_of(draft, account),
        description=draft.description,
        postings=postings,
        metadata={
            "reference": draft.key,
            "template": draft.template,
            "event_id": event_id,
            "trace_id": trace_id,
        },
    )
    check_balanced(entry)
    return entry


def _code(role: str, currency: str, account: ProviderAccount) -> str:
    pattern = account.chart.get(role)
    if pattern is None:
        raise ConfigurationError(
            f"no account is named for the role {role}.",
            file=str(account.settings_path),
            remedy=f"Under `chart` write `{role}: <code>`; {{currency}} and {{account}} are filled in.",
        )
    return pattern.replace("{currency}", currency.lower()).replace("{account}", account.account)


def _other(side: str) -> str:
    return CREDIT if side == DEBIT else DEBIT
