"""A second telling of which break a difference belongs to, one at a time: what the sets in SQL must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger_core.log.canonical import canonical_bytes
from reconciliation.breaks.identity import KIND_ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakKey:
    """One id that is unique on its side; the key of `recon.break_keys` within a book."""

    leg: str
    provider: str
    account: str
    kind: str
    key: str
    sign: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What identity needs of a difference; `keys` in the order in which they are believed."""

    difference_id: str
    leg: str
    provider: str
    account: str
    sign: int
    key: str
    currency: str
    keys: tuple[BreakKey, ...]


def assign(
    found: Sequence[Found],
    known: Mapping[BreakKey, str],
    *,
    book: str,
    exists: Callable[[Sequence[str]], set[str]],
) -> dict[str, str]:
    """Return the break id of each difference.

    `known` maps ids to the breaks that list them; `exists` tells which of some minted ids are taken.
    """
    wishes = sorted(
        (_rank(key.kind), place, difference.difference_id, known[key])
        for difference in found
        for place, key in enumerate(difference.keys)
        if key in known
    )
    answer: dict[str, str] = {}
    claimed: set[str] = set()
    for _, _, difference_id, break_id in wishes:
        if difference_id not in answer and break_id not in claimed:
            answer[difference_id] = break_id
            claimed.add(break_id)
    new = sorted((difference for difference in found if difference.difference_id not in answer), key=_order)
    answer.update(_mint_all(new, book=book, claimed=claimed, exists=exists))
    assert len(set(answer.values())) == len(found), "two differences of a run never share a break"
    return answer


def mint(difference: Found, *, book: str, ordinal: int = 1) -> str:
    """Return the id of a new break; `ordinal` tells apart what would have the same name, silent for the first."""
    name: list[str | int] = [
        book,
        difference.leg,
        difference.provider,
        difference.account,
        difference.sign,
        difference.key,
        difference.currency,
    ]
    return sha256(canonical_bytes(name if ordinal == 1 else [*name, ordinal])).hexdigest()


def _mint_all(
    new: Sequence[Found], *, book: str, claimed: Iterable[str], exists: Callable[[Sequence[str]], set[str]]
) -> dict[str, str]:
    taken = set(claimed)
    answer: dict[str, str] = {}
    waiting = list(new)
    ordinal = 1
    while waiting:
        wanted = {difference.difference_id: mint(difference, book=book, ordinal=ordinal) for difference in waiting}
        taken |= exists(list(wanted.values()))
        later = []
        for difference in waiting:
            break_id = wanted[difference.difference_id]
            if break_id in taken:
                later.append(difference)
            else:
                taken.add(break_id)
                answer[difference.difference_id] = break_id
        waiting = later
        ordinal += 1
    return answer


def _rank(kind: str) -> int:
    return KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)


def _order(difference: Found) -> tuple[str, str, str, str, str, str]:
    return (
        difference.leg,
        difference.provider,
        difference.account,
        difference.key,
        difference.currency,
        difference.difference_id,
    )
