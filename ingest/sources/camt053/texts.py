"""Who and what an entry and its details name: every party, every reference, every text, as one list.

Claims (whose line it is) and the search for payouts read this list, so a name counts wherever the bank puts it. Not
the columns of a line: those are the few of these that people see. The company's own side is no party of a line, for
every line would name it.

Source: camt.053.001.02 to .13, `ReportEntry` and `EntryTransaction`. Versions differ in what a party is (`Nm` itself,
from 08 on a choice of `Pty` and `Agt`) and in how many proprietary references and parties there are; an element that
an older version lacks is simply not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.formats.xml import Element

_NAME_PATHS = (("Nm",), ("Pty", "Nm"), ("Agt", "FinInstnId", "Nm"), ("FinInstnId", "Nm"))
_TYPES = frozenset({"Tp", "Cd", "Issr", "SchmeNm"})
"""Of a reference: what kind it is, and no reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What is named, in the order of the file, each once."""

    parties: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def extra(self) -> dict[str, list[str]]:
        """Return it as members of a line's `extra`; what is empty is left out."""
        named = {"parties": self.parties, "references": self.references, "texts": self.texts}
        return {name: list(values) for name, values in named.items() if values}


def merged(several: Iterable[Texts]) -> Texts:
    """Return all of `several`, each value once."""
    each = list(several)
    return Texts(
        parties=_distinct(value for one in each for value in one.parties),
        references=_distinct(value for one in each for value in one.references),
        texts=_distinct(value for one in each for value in one.texts),
    )


def entry_texts(entry: Element) -> Texts:
    """Return what a `Ntry` names by itself, its details aside."""
    references: list[str] = []
    texts: list[str] = []
    for child in entry:
        match _local(child):
            case "NtryRef" | "AcctSvcrRef":
                references += _values(child)
            case "AddtlNtryInf":
                texts += _values(child)
            case "AddtlInfInd":
                references += _values(child)
            case "NtryDtls":
                references += [value for each in child if _local(each) == "Btch" for value in _batch(each)]
    return Texts(references=_distinct(references), texts=_distinct(texts))


def detail_texts(detail: Element, *, own_side: str | None) -> Texts:
    """Return what a `TxDtls` names; `own_side` is `Cdtr` or `Dbtr`, whichever is the company itself."""
    own = {own_side, f"Ultmt{own_side}", f"{own_side}Agt", f"{own_side}Acct"} if own_side else set()
    parties: list[str] = []
    references: list[str] = []
    texts: list[str] = []
    for child in detail:
        match _local(child):
            case "Refs":
                references += _values(child, without=_TYPES)
            case "RltdPties" | "RltdAgts":
                parties += [name for each in child if _local(each) not in own for name in _names(each)]
            case "RmtInf":
                _take_remittance(child, references, texts)
            case "RltdRmtInf":
                references += [value for each in child if _local(each) == "RmtId" for value in _values(each)]
            case "AddtlTxInf":
                texts += _values(child)
            case "Purp":
                texts += [value for each in child if _local(each) == "Prtry" for value in _values(each)]
            case "RtrInf":
                texts += [value for each in child if _local(each) == "AddtlInf" for value in _values(each)]
    return Texts(parties=_distinct(parties), references=_distinct(references), texts=_distinct(texts))


def name_of(detail: Element, side: str) -> str | None:
    """Return the name of the party on `side` (`Dbtr` or `Cdtr`) of a `TxDtls`, else of whom it acts for, else of its
    bank."""
    found: dict[str, str] = {}
    for child in detail:
        if _local(child) in ("RltdPties", "RltdAgts"):
            for each in child:
                found.update({_local(each): name for name in list(_names(each))[:1]})
    return next((found[name] for name in (side, f"Ultmt{side}", f"{side}Agt") if name in found), None)


def _take_remittance(remittance: Element, references: list[str], texts: list[str]) -> None:
    """Read a `RmtInf`: a text that the bank wrapped is one text, its pieces parted by blanks."""
    unstructured = [value for each in remittance if _local(each) == "Ustrd" for value in _values(each)]
    if unstructured:
        texts.append(" ".join(unstructured))
    for structured in remittance:
        if _local(structured) != "Strd":
            continue
        additional: list[str] = []
        for each in structured:
            match _local(each):
                case "AddtlRmtInf":
                    additional += _values(each)
                case "CdtrRefInf" | "RfrdDocInf":
                    references += [value for one in each if _local(one) in ("Ref", "Nb") for value in _values(one)]
        if additional:
            texts.append(" ".join(additional))


def _batch(batch: Element) -> list[str]:
    return [value for each in batch if _local(each) in ("MsgId", "PmtInfId") for value in _values(each)]


def _names(party: Element) -> Iterator[str]:
    """Yield the names of a party, however the version wraps it; a proprietary one (`Prtry`) has its own below."""
    if _local(party) == "Prtry":
        party = next((each for each in party if _local(each) in ("Pty", "Agt")), party)
    for path in _NAME_PATHS:
        element: Element | None = party
        for step in path:
            element = None if element is None else next((each for each in element if _local(each) == step), None)
        if element is not None:
            yield from _values(element)


def _values(element: Element, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Return the texts of `element` and everything below it, but for the elements `without`."""
    own = [element.text.strip()] if element.text and element.text.strip() else []
    return own + [value for each in element if _local(each) not in without for value in _values(each, without=without)]


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
