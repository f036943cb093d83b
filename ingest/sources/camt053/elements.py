"""What stands where in a statement, over the versions 02, 04 and 08: elements in, plain values out.

Values are text as it came, white space around it aside. What is not there is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ingest.formats.xml import Element

Values = dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A `TxDtls`: its own amount and side where it carries them, and what it says of one payment."""

    amount: str | None
    currency: str | None
    indicator: str | None
    values: Values
    extra: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A `Ntry` without its details."""

    line: int
    values: Values
    extra: Mapping[str, str]
    charges: tuple[tuple[str | None, str | None], ...]
    """Amount and side of each charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `TxsSummry` counts."""

    entries: str | None
    credits: str | None
    debits: str | None


def statement_values(statement: Element, pagination: Values) -> Values:
    """Return the columns of a `Stmt`; `pagination` is the message's, which a statement's own overrides."""
    opening, closing = _balances(statement)
    own_page = _text(statement, "StmtPgntn/PgNb")
    return {
        "statement_id": _text(statement, "Id"),
        "electronic_sequence": _text(statement, "ElctrncSeqNb"),
        "legal_sequence": _text(statement, "LglSeqNb"),
        "account_iban": _first(statement, "Acct/Id/IBAN", "Acct/Id/Othr/Id"),
        "currency": _text(statement, "Acct/Ccy") or _amount(closing)[1] or _amount(opening)[1],
        "from_at": _first(statement, "FrToDt/FrDtTm", "FrToDt/FrDt"),
        "to_at": _first(statement, "FrToDt/ToDtTm", "FrToDt/ToDt"),
        "created_at": _text(statement, "CreDtTm"),
        "page": own_page or pagination.get("page"),
        "is_last_page": _text(statement, "StmtPgntn/LastPgInd") if own_page else pagination.get("is_last_page"),
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


def header_pagination(header: Element) -> Values:
    """Return page and last page of a `GrpHdr`."""
    return {"page": _text(header, "MsgPgntn/PgNb"), "is_last_page": _text(header, "MsgPgntn/LastPgInd")}


def entry_values(entry: Element) -> Entry:
    """Return what a `Ntry` says by itself."""
    amount, currency = _amount(entry)
    charges = [*_all(entry, "Chrgs/Rcrd"), *(each for each in _all(entry, "Chrgs") if _text(each, "Amt") is not None)]
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
        charges=tuple((_amount(each)[0], _text(each, "CdtDbtInd")) for each in charges),
    )


def detail_values(detail: Element, *, credit: bool) -> Detail:
    """Return what a `TxDtls` says; on a credit the debtor is the other side."""
    amount, currency = _amount(detail)
    if amount is None:
        amount, currency = _amount(_one(detail, "AmtDtls/TxAmt"))
    other = "Dbtr" if credit else "Cdtr"
    instructed, instructed_currency = _amount(_one(detail, "AmtDtls/InstdAmt"))
    return Detail(
        amount=amount,
        currency=currency,
        indicator=_text(detail, "CdtDbtInd"),
        values={
            "account_servicer_reference": _text(detail, "Refs/AcctSvcrRef"),
            "bank_transaction_code": _bank_transaction_code(detail),
            "end_to_end_id": _text(detail, "Refs/EndToEndId"),
            "instruction_id": _text(detail, "Refs/InstrId"),
            "transaction_id": _text(detail, "Refs/TxId"),
            "structured_reference": _text(detail, "RmtInf/Strd/CdtrRefInf/Ref"),
            "remittance": " ".join(filter(None, map(_own_text, _all(detail, "RmtInf/Ustrd")))) or None,
            "counterparty_name": _first(
                detail,
                f"RltdPties/{other}/Pty/Nm",
                f"RltdPties/{other}/Nm",
                f"RltdPties/Ultmt{other}/Pty/Nm",
                f"RltdPties/Ultmt{other}/Nm",
            ),
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
    )


def is_credit(entry: Element) -> bool:
    """Tell whether the other side of a `Ntry` is the debtor: on a credit it is, and a reversal turns that round."""
    return (_text(entry, "CdtDbtInd") == "CRDT") != (_text(entry, "RvslInd") in ("true", "1"))


def _balances(statement: Element) -> tuple[Element | None, Element | None]:
    """Return opening and closing balance; a page in the middle has interim balances in their place."""
    by_code: dict[str, list[Element]] = {}
    for balance in _all(statement, "Bal"):
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


def _present(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
