"""Landing order decides nothing: one set of documents, in any order and any grouping of commands, gives one run.

The companies are those of the test for verdicts; what their providers and banks send of them is drawn as well. Two
books with the same entries take the same documents, one as they were made, the other shuffled and cut into other
commands; everything that a run says must be equal, to the byte where it is hashed. Companies that differ are named.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ingest.landing.land import land
from tests.cases.matching.documents import Document, documents_of
from tests.cases.matching.test_always_a_verdict import AS_OF, draw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(7200)]

CASES = int(os.environ.get("COUNTERFOIL_CASES", "200"))
CASES_A_RUN = 200
Command = list[Document]


def as_made(documents: list[Document]) -> list[Command]:
    """Return one command for what goes under one account and interval, in the order in which it was made."""
    commands: dict[Any, Command] = defaultdict(list)
    for document in documents:
        commands[document.source, document.account, document.interval].append(document)
    return list(commands.values())


def shuffled(documents: list[Document], chance: Random) -> list[Command]:
    """Return the same in any order, cut into commands anywhere."""
    commands: list[Command] = []
    for command in as_made(documents):
        rest = chance.sample(command, len(command))
        while rest:
            taken = chance.randint(1, len(rest))
            commands.append(rest[:taken])
            del rest[:taken]
    return chance.sample(commands, len(commands))


def land_all(book: Any, commands: list[Command]) -> None:
    for number, command in enumerate(commands):
        paths: list[Path] = []
        for place, document in enumerate(command):
            path = book.folder / "sent" / str(number) / str(place) / document.name
            path.parent.mkdir(parents=True)
            path.write_text(document.text, newline="")
            paths.append(path)
        first = command[0]
        landed = land(book.runtime, source=first.source, paths=paths, account=first.account, interval=first.interval)
        assert [str(each.error) for each in landed if each.error] == []


def said(book: Any) -> dict[str, Any]:
    """Return all that a run says but which run it was."""
    result = book.reconcile(AS_OF)
    breaks = [asdict(each) for each in book.breaks()]
    for each in breaks:
        del each["run_id"]
    return {
        "verdict": result.verdict,
        "reasons": sorted(result.reasons, key=str),
        "counts": result.counts,
        "outputs": result.manifest["outputs"],
        "breaks": sorted(breaks, key=lambda each: each["break_id"]),
    }


def told_apart(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the reasons and breaks that only one of two answers has."""
    said = [{str(each) for part in ("reasons", "breaks") for each in answer[part]} for answer in (one, other)]
    return sorted([f"- {line}" for line in said[0] - said[1]] + [f"+ {line}" for line in said[1] - said[0]])


@pytest.mark.parametrize("first", range(0, CASES, CASES_A_RUN))
def test_order_and_grouping_decide_nothing(
    open_book: Callable[..., Any], make_case: Callable[..., Any], first: int
) -> None:
    seeds = range(first, min(first + CASES_A_RUN, CASES))
    answers = []
    for way in ("as made", "shuffled"):
        cases, documents = [], []
        for number, seed in enumerate(seeds, start=1):
            case = make_case(number=number)
            draw(case, Random(seed))
            cases.append(case)
            documents += documents_of(case, Random(-seed - 1))
        with open_book(cases) as book:
            book.post()
            land_all(book, as_made(documents) if way == "as made" else shuffled(documents, Random(first)))
            answers.append(said(book))
    one, other = answers
    assert told_apart(one, other) == []
    assert one == other
    assert one["breaks"]
    kinds = {reason["kind"] for reason in one["reasons"]}
    assert {"item_conflict", "statement_overlap"} & kinds, kinds
