"""What stands where in a statement, over the versions 02 to 13: elements in, plain values out.

Values are text as it came, white space around it aside. What is not there is None. Where versions differ the older and
the newer place are both looked at: a status (`Sts` or `Sts/Cd`), a charge (`Chrgs` or `Chrgs/Rcrd`), a party (`Nm`,
`Pty/Nm` or `Agt/FinInstnId/Nm`), a detail's amount (`AmtDtls/TxAmt` or `Amt`). Names, references and narrative are
gathered by `texts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from ingest.formats.xml import Element
from ingest.sources.camt053.texts import Texts, detail_texts, entry_texts, name_of

Values = dict[str, str | None]
Charges = tuple[tuple[str | None, str | None, str | None], ...]
"""Amount, currency and side of each charge."""

TRUE = frozenset({"true", "1"})
BOOLEANS = TRUE | {"false", "0"}
"""The lexical forms of `xs:boolean`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A `TxDtls`: its own amount and side where it carries them, and what it says of one payment."""

    amount: str | None
    currency: str | None
    indicator: str | None
    values: Values
    extra: Mapping[str, str]
    texts: Texts
    charges: Charges


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A `Ntry` without its details."""

    line: int
    values: Values
    extra: Mapping[str, str]
    texts: Texts
    charges: Charges


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `TxsSummry` counts."""

    entries: str | None
    credits: str | None
    debits: str | None


def statement_values(statement: Element, header: Values) -> Values:
    """Return the columns of a `Stmt`; pages are those of `header`, the message's, unless it has its own."""
    opening, closing = _balances(statement, _text(statement, "Acct/Ccy"))
    own_page = _text(statement, "StmtPgntn/PgNb")
    return {
        "statement_id": _text(statement, "Id"),
        "electronic_sequence": _text(statement, "ElctrncSeqNb"),
        "legal_sequence": _text(statement, "LglSeqNb"),
        "account_iban": _first(statement, "Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Prxy/Id"),
        "currency": _text(statement, "Acct/Ccy") or _amount(closing)[1] or _amount(opening)[1],
        "from_at": _first(statement, "FrToDt/FrDtTm", "FrToDt/FrDt"),
        "to_at": _first(statement, "FrToDt/ToDtTm", "FrToDt/ToDt"),
        # Of a statement it is optional from version 08 on, of the message never.
        "created_at": _text(statement, "CreDtTm") or header.get("created_at"),
        "page": own_page or header.get("page"),
        "is_last_page": _text(statement, "StmtPgntn/LastPgInd") if own_page else header.get("is_last_page"),
        "opening_amount": _amount(opening)[0],
        "opening_indicator": _text(opening, "CdtDbtInd"),
        "opening_on": _day(opening, "Dt"),
        "closing_amount": _amount(closing)[0],
        "closing_indicator": _text(closing, "CdtDbtInd"),
        "closing_on": _day(closing, "Dt"),
    }


def statement_summary(statement: Element) -> Summary:
    """Return the bank's own count of a `Stmt`."""
    return Summary(
        entries=_text(statement, "TxsSummry/TtlNtries/NbOfNtries"),
        credits=_text(statement, "TxsSummry/TtlCdtNtries/Sum"),
        debits=_text(statement, "TxsSummry/TtlDbtNtries/Sum"),
    )


def statement_extra(statement: Element, header: Values) -> dict[str, str]:
    """Return what a `Stmt` says that has no column: when its message was made, whether it is a copy, by which bank."""
    return _present(
        message_created_at=header.get("created_at"),
        copy_duplicate=_text(statement, "CpyDplctInd"),
        servicer=_first(
            statement,
            "Acct/Svcr/FinInstnId/BICFI",
            "Acct/Svcr/FinInstnId/BIC",
            "Acct/Svcr/FinInstnId/ClrSysMmbId/MmbId",
            "Acct/Svcr/FinInstnId/Nm",
        ),
    )


def header_values(header: Element) -> Values:
    """Return when a `GrpHdr` was made, its page and whether that is the last. A time that is none is left out."""
    created_at = _text(header, "CreDtTm")
    return {
        "created_at": created_at if created_at and is_day(created_at[:10]) else None,
        "page": _text(header, "MsgPgntn/PgNb"),
        "is_last_page": _text(header, "MsgPgntn/LastPgInd"),
    }


def entry_values(entry: Element) -> Entry:
    """Return what a `Ntry` says by itself."""
    amount, currency = _amount(entry)
    return Entry(
        line=entry.sourceline or 1,
        values={
            "entry_reference": _text(entry, "NtryRef"),
            "amount": amount,
            "currency": currency,
            "indicator": _text(entry, "CdtDbtInd"),
            "is_reversal": _text(entry, "RvslInd"),
            "status": _first(entry, "Sts/Cd", "Sts/Prtry", "Sts"),
            "booked_on": _day(entry, "BookgDt"),
            "value_on": _day(entry, "ValDt"),
            "account_servicer_reference": _text(entry, "AcctSvcrRef"),
            "bank_transaction_code": _bank_transaction_code(entry),
            "additional_info": _text(entry, "AddtlNtryInf"),
        },
        extra=_present(
            batch_message_id=_text(entry, "NtryDtls/Btch/MsgId"),
            batch_payment_information_id=_text(entry, "NtryDtls/Btch/PmtInfId"),
            batch_count=_text(entry, "NtryDtls/Btch/NbOfTxs"),
            batch_amount=_text(entry, "NtryDtls/Btch/TtlAmt"),
        ),
        texts=entry_texts(entry),
        charges=_charges(entry),
    )


def detail_values(detail: Element, entry: Element) -> Detail:
    """Return what a `TxDtls` of `entry` says, its amount in the entry's currency where it states one."""
    amount, currency = _detail_amount(detail, _amount(entry)[1])
    indicator = _text(detail, "CdtDbtInd")
    # On a credit the debtor is the other side, and a reversal turns that round.
    credit = (indicator or _text(entry, "CdtDbtInd")) == "CRDT"
    reversal, returned = _text(entry, "RvslInd") in TRUE, _one(detail, "RtrInf") is not None
    other = "Dbtr" if credit != reversal else "Cdtr"
    instructed, instructed_currency = _amount(_one(detail, "AmtDtls/InstdAmt"))
    return Detail(
        amount=amount,
        currency=currency,
        indicator=indicator,
        values={
            "account_servicer_reference": _text(detail, "Refs/AcctSvcrRef"),
            "bank_transaction_code": _bank_transaction_code(detail),
            "end_to_end_id": _text(detail, "Refs/EndToEndId"),
            "instruction_id": _text(detail, "Refs/InstrId"),
            "transaction_id": _text(detail, "Refs/TxId"),
            "structured_reference": _text(detail, "RmtInf/Strd/CdtrRefInf/Ref"),
            "remittance": " ".join(filter(None, map(_own_text, _all(detail, "RmtInf/Ustrd")))) or None,
            "counterparty_name": name_of(detail, other),
            "counterparty_iban": _first(detail, f"RltdPties/{other}Acct/Id/IBAN", f"RltdPties/{other}Acct/Id/Othr/Id"),
            "additional_info": _text(detail, "AddtlTxInf"),
        },
        extra=_present(
            uetr=_text(detail, "Refs/UETR"),
            mandate_id=_text(detail, "Refs/MndtId"),
            return_reason=_first(detail, "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry"),
            instructed_amount=instructed,
            instructed_currency=instructed_currency,
        ),
        # A reversal or a return may name both sides as the payment did that it takes back.
        texts=detail_texts(detail, own_side=None if reversal or returned else "Cdtr" if credit else "Dbtr"),
        charges=_charges(detail),
    )


def _detail_amount(detail: Element, wanted: str | None) -> tuple[str | None, str | None]:
    """Return a detail's amount and currency: the first that is in the currency `wanted`, else the first there is."""
    found = [
        (amount, currency)
        for element in (detail, _one(detail, "AmtDtls/TxAmt"), _one(detail, "AmtDtls/CntrValAmt"))
        for amount, currency in [_amount(element)]
        if amount is not None
    ]
    return next((each for each in found if each[1] == wanted), found[0] if found else (None, None))


def _charges(element: Element) -> Charges:
    """Return what an entry or a detail was charged: its records, else the one amount there is, else their total."""
    charges = [*_all(element, "Chrgs/Rcrd"), *(each for each in _all(element, "Chrgs") if _text(each, "Amt"))]
    if charges:
        return tuple((*_amount(each), _text(each, "CdtDbtInd")) for each in charges)
    totals = [each for charge in _all(element, "Chrgs") for each in _all(charge, "TtlChrgsAndTaxAmt")]
    return tuple((_own_text(each), each.get("Ccy"), None) for each in totals)


def _balances(statement: Element, currency: str | None) -> tuple[Element | None, Element | None]:
    """Return opening and closing balance; a page in the middle has interim balances in their place.

    A bank may state balances in a second currency beside them: those in the account's `currency` count.
    """
    by_code: dict[str, list[Element]] = {}
    balances = _all(statement, "Bal")
    own = [each for each in balances if _amount(each)[1] == currency]
    for balance in own or balances:
        by_code.setdefault(_text(balance, "Tp/CdOrPrtry/Cd") or "", []).append(balance)
    interim = by_code.get("ITBD", [])
    opening = [*by_code.get("OPBD", []), *by_code.get("PRCD", []), *interim[:1]]
    rest = interim if by_code.get("OPBD") or by_code.get("PRCD") else interim[1:]
    closing = [*by_code.get("CLBD", []), *rest[-1:]]
    return (opening[0] if opening else None), (closing[0] if closing else None)


def _bank_transaction_code(element: Element) -> str | None:
    code = _one(element, "BkTxCd")
    parts = (_text(code, "Domn/Cd"), _text(code, "Domn/Fmly/Cd"), _text(code, "Domn/Fmly/SubFmlyCd"))
    return "-".join(filter(None, parts)) or _text(code, "Prtry/Cd")


def _amount(element: Element | None) -> tuple[str | None, str | None]:
    amount = _one(element, "Amt")
    return (None, None) if amount is None else (_own_text(amount), amount.get("Ccy"))


def _day(element: Element | None, name: str) -> str | None:
    day = _first(element, f"{name}/Dt", f"{name}/DtTm")
    return day if day is None else day[:10]


def _first(element: Element | None, *paths: str) -> str | None:
    return next((found for path in paths if (found := _text(element, path))), None)


def _text(element: Element | None, path: str) -> str | None:
    return _own_text(_one(element, path))


def _own_text(element: Element | None) -> str | None:
    text = None if element is None else element.text
    return (text.strip() or None) if text else None


def _one(element: Element | None, path: str) -> Element | None:
    return None if element is None else element.find(_qualified(path, _namespace(element)))


def _all(element: Element, path: str) -> list[Element]:
    return list(element.findall(_qualified(path, _namespace(element))))


def _namespace(element: Element) -> str:
    return str(element.tag).partition("}")[0]


@lru_cache(maxsize=256)
def _qualified(path: str, namespace: str) -> str:
    return "/".join(f"{namespace}}}{step}" for step in path.split("/"))


def is_day(text: str) -> bool:
    """Tell whether `text` is a day of the calendar, `YYYY-MM-DD`, of 1970 or later."""
    try:
        return len(text) == 10 and date.fromisoformat(text).year >= 1970
    except ValueError:
        return False


def _present(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
