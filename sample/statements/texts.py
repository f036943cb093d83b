"""Where a bank puts payer and reference of a payment, and how it spells them.

As the message means it, or in one of the odd ways that banks have: on the entry alone, respelt in letters that the SEPA
character set has, cut at a width and repeated, among structured remittance, with an institution for a payer.
Invariant: whatever the way, payer and reference can still be read by a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from html import escape

from sample.model import BankTransaction

_PLACEHOLDERS = ("NOTPROVIDED", "Not Provided", "NONREF", "not-provided")
_WIDTH = 27
"""Letters to a line of remittance text at banks that come from SWIFT's MT 940."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a bank tells of one transaction, as elements."""

    end_to_end: str
    party: str
    remittance: str
    is_agent: bool = False
    on_entry: str = ""
    """The entry's additional information: then there are no details."""

    @property
    def has_details(self) -> bool:
        return not self.on_entry


def plain_text(part: BankTransaction) -> Told:
    """Tell it as the message means it."""
    return _told(part, end_to_end=part.end_to_end_id, lines=(part.narrative,))


def odd_text(part: BankTransaction, *, names_agents: bool) -> Told:
    """Tell it in one of the odd ways, which the transaction's own reference chooses."""
    draw = int.from_bytes(blake2b(part.servicer_reference.encode(), digest_size=4).digest(), "big")
    way = _WAYS[draw % len(_WAYS)]
    told = way(part, _PLACEHOLDERS[draw // len(_WAYS) % len(_PLACEHOLDERS)])
    if names_agents and draw % 5 == 0:
        agent = f"<Agt><FinInstnId><Nm>{escape(part.counterparty)}</Nm></FinInstnId></Agt>"
        return Told(
            end_to_end=told.end_to_end,
            party=agent,
            remittance=told.remittance,
            is_agent=True,
            on_entry=told.on_entry,
        )
    return told


def _all_text(part: BankTransaction) -> str:
    return " ".join(text for text in (part.narrative, part.end_to_end_id) if text)


def _on_the_entry(part: BankTransaction, placeholder: str) -> Told:
    told = _told(part, end_to_end="", lines=(), placeholder=placeholder)
    return Told(
        end_to_end=told.end_to_end,
        party=told.party,
        remittance="",
        on_entry=escape(f"SEPA CREDIT {part.counterparty} {_all_text(part)}"),
    )


def _respelt(part: BankTransaction, placeholder: str) -> Told:
    return _told(part, end_to_end="", lines=(_all_text(part).replace("_", "-").upper(),), placeholder=placeholder)


def _wrapped(part: BankTransaction, placeholder: str) -> Told:
    text = _all_text(part)
    lines = tuple(text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH))
    return _told(part, end_to_end="", lines=lines, placeholder=placeholder)


def _structured(part: BankTransaction, placeholder: str) -> Told:
    told = _told(part, end_to_end="", lines=(), placeholder=placeholder)
    text = f"<RmtInf><Strd><AddtlRmtInf>{escape(_all_text(part))}</AddtlRmtInf></Strd></RmtInf>"
    return Told(end_to_end=told.end_to_end, party=told.party, remittance=text)


def _without_underscore(part: BankTransaction, placeholder: str) -> Told:
    return _told(part, end_to_end=part.end_to_end_id.replace("_", ""), lines=(part.narrative,), placeholder=placeholder)


_WAYS: tuple[Callable[[BankTransaction, str], Told], ...] = (
    _on_the_entry,
    _respelt,
    _wrapped,
    _structured,
    _without_underscore,
)


def _told(
    part: BankTransaction, *, end_to_end: str, lines: tuple[str, ...], placeholder: str = _PLACEHOLDERS[0]
) -> Told:
    texts = "".join(f"<Ustrd>{escape(line)}</Ustrd>" for line in lines)
    return Told(
        end_to_end=escape(end_to_end) or placeholder,
        party=f"<Nm>{escape(part.counterparty)}</Nm>",
        remittance=f"<RmtInf>{texts}</RmtInf>" if texts else "",
    )
