"""Batches over HTTP: parse each entry for itself, post what can be posted, answer in the order of the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.http.problems import document, document_of, status_of
from api.posting import entry_document, inclusion_of
from api.schemas.entries import MAX_ATOMIC_ENTRIES, MAX_BATCH_ENTRIES
from ledger_core.errors import CounterfoilError, InvalidInput
from ledger_core.journal.entries import EntryDraft, parse_entry
from ledger_core.ports import Answer, Declined, Posted

MAX_PLACES = 100
"""Culprits that the problem of an atomic batch lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBatch:
    """A batch after parsing: a draft or the error at each place."""

    items: tuple[EntryDraft | CounterfoilError, ...]

    @property
    def drafts(self) -> list[EntryDraft]:
        return [item for item in self.items if isinstance(item, EntryDraft)]

    @property
    def faults(self) -> list[tuple[int, CounterfoilError]]:
        return [(index, item) for index, item in enumerate(self.items) if isinstance(item, CounterfoilError)]


def parse_batch(body: dict[str, Any], book: str, *, atomic: bool) -> ParsedBatch:
    """Read a batch's body. Raises `InvalidInput` when it is not one; an entry's own fault stays at its place."""
    unknown = sorted(set(body) - {"entries"})
    if unknown:
        raise InvalidInput(
            f"unknown member {unknown[0]!r}.", pointer=f"/{unknown[0]}", remedy="Known here: book, entries."
        )
    listed = body.get("entries")
    limit = MAX_ATOMIC_ENTRIES if atomic else MAX_BATCH_ENTRIES
    if not isinstance(listed, list) or not listed:
        raise InvalidInput("a batch needs `entries`, an array of at least one.", pointer="/entries")
    if len(listed) > limit:
        raise InvalidInput(
            f"{len(listed):,} entries; {'an atomic' if atomic else 'a'} batch takes {limit:,}.",
            pointer="/entries",
            remedy="Split it.",
        )
    return ParsedBatch(items=tuple(_parse(item, index, book) for index, item in enumerate(listed)))


def without_private(body: dict[str, Any], batch: ParsedBatch) -> dict[str, Any]:
    """Return a batch's body as its fingerprint is taken over, which outlives private values: with their names alone.

    Of an item that did not parse nobody knows what in it is private: that it was refused, and as what.
    """
    listed = body["entries"]
    if not batch.faults and not any("private" in item for item in listed):
        return body
    return {**body, "entries": [_named(item, parsed) for item, parsed in zip(listed, batch.items, strict=True)]}


def _named(item: Any, parsed: EntryDraft | CounterfoilError) -> Any:
    if not isinstance(parsed, EntryDraft):
        return {"refused": parsed.code}
    return {**item, "private": sorted(item["private"])} if "private" in item else item


def _parse(item: Any, index: int, book: str) -> EntryDraft | CounterfoilError:
    try:
        return parse_entry(item, pointer=f"/entries/{index}", book=book)
    except CounterfoilError as error:
        return error


def batch_document(book: str, batch: ParsedBatch, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the members of a batch's answer; `answers` are those of its parts, in order."""
    answered = iter([(answer, item) for answer in answers for item in answer.items])
    results: list[dict[str, Any]] = []
    for index, item in enumerate(batch.items):
        if isinstance(item, EntryDraft):
            answer, outcome = next(answered)
            if isinstance(outcome, Posted):
                results.append(_posted(book, index, answer, outcome))
                continue
            assert isinstance(outcome, Declined), "an entry is posted or declined"
            item = outcome.error
        problem = problem_at(item, index)
        results.append({"index": index, "status": problem["status"], "problem": problem})
    posted = sum(len(answer.posted) for answer in answers)
    return {
        "posted": posted,
        "refused": len(results) - posted,
        "checkpoints": {str(answer.size): answer.checkpoint for answer in answers if answer.posted},
        "results": results,
    }


def _posted(book: str, index: int, answer: Answer, posted: Posted) -> dict[str, Any]:
    return {
        "index": index,
        "status": 201,
        "entry": entry_document(book, posted),
        "checkpoint_size": answer.size,
        "inclusion": inclusion_of(answer, posted),
    }


def problem_at(error: CounterfoilError, index: int) -> dict[str, Any]:
    """Return `error` as the problem of the entry at `index`, its pointer seen from the batch."""
    problem = document_of(error)
    place = _pointer(error, index)
    problem["errors"] = [{"pointer": place, "detail": error.message}]
    return problem


def atomic_problem(faults: Sequence[tuple[int, CounterfoilError]], total: int) -> dict[str, Any]:
    """Return the problem of a group that falls together: the status of its first culprit, and where all of them are."""
    index, first = faults[0]
    places = [{"pointer": _pointer(error, at), "detail": error.message} for at, error in faults[:MAX_PLACES]]
    return document(
        status_of(first),
        first.code,
        f"Nothing of the {total:,} entries was posted: entry {index}: {first.message}",
        remedy=first.remedy,
        places=places,
        refused=len(faults),
    )


def _pointer(error: CounterfoilError, index: int) -> str:
    own = error.pointer or ""
    return own if own.startswith("/entries/") else f"/entries/{index}{own}"
