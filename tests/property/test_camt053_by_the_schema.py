"""Statements made from the message definition: every optional element left out, every version, every form of a decimal.

The sums are held against an independent one: `decimal.Decimal` over what was written, which knows nothing of the
reader.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.camt053.contract import VERSIONS
from ingest.sources.camt053.parse import StatementReader, parse

# Source: camt.053.001.02 to .13 (BankToCustomerStatement), multiplicities 0..1 and 0..n of what is read here. A path
# names the element that may be absent; what stands below it goes with it.
OPTIONAL = (
    "GrpHdr/MsgPgntn",
    "Stmt/StmtPgntn",
    "Stmt/ElctrncSeqNb",
    "Stmt/LglSeqNb",
    "Stmt/CreDtTm",
    "Stmt/FrToDt",
    "Stmt/CpyDplctInd",
    "Stmt/Acct/Ccy",
    "Stmt/Acct/Ownr",
    "Stmt/Acct/Svcr",
    "Stmt/TxsSummry",
    "Stmt/TxsSummry/TtlNtries",
    "Stmt/TxsSummry/TtlCdtNtries",
    "Stmt/TxsSummry/TtlDbtNtries",
    "Stmt/Ntry/NtryRef",
    "Stmt/Ntry/RvslInd",
    "Stmt/Ntry/BookgDt",
    "Stmt/Ntry/ValDt",
    "Stmt/Ntry/AcctSvcrRef",
    "Stmt/Ntry/Chrgs",
    "Stmt/Ntry/NtryDtls",
    "Stmt/Ntry/NtryDtls/Btch",
    "Stmt/Ntry/NtryDtls/TxDtls",
    "Stmt/Ntry/AddtlNtryInf",
    *(
        f"Stmt/Ntry/NtryDtls/TxDtls/{name}"
        for name in (
            "Refs",
            "Refs/EndToEndId",
            "Amt",
            "CdtDbtInd",
            "AmtDtls",
            "BkTxCd",
            "Chrgs",
            "RltdPties",
            "RltdPties/Dbtr",
            "RltdPties/DbtrAcct",
            "RltdAgts",
            "Purp",
            "RltdRmtInf",
            "RmtInf",
            "RmtInf/Ustrd",
            "RmtInf/Strd",
            "RmtInf/Strd/AddtlRmtInf",
            "RmtInf/Strd/CdtrRefInf",
            "RtrInf",
            "AddtlTxInf",
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Version:
    """What an element looks like in a version of the message."""

    number: str

    @property
    def newer(self) -> bool:
        return self.number >= "04"

    @property
    def choices(self) -> bool:
        return self.number >= "08"

    def status(self, word: str) -> str:
        return f"<Sts><Cd>{word}</Cd></Sts>" if self.choices else f"<Sts>{word}</Sts>"

    def party(self, name: str) -> str:
        return f"<Pty><Nm>{name}</Nm></Pty>" if self.choices else f"<Nm>{name}</Nm>"

    def charge(self, amount: str) -> str:
        inner = f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
        return f"<Chrgs><Rcrd>{inner}</Rcrd></Chrgs>" if self.newer else f"<Chrgs>{inner}</Chrgs>"

    def detail_amount(self, amount: str, side: str) -> str:
        own = f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>' if self.newer else ""
        return f'{own}<AmtDtls><TxAmt><Amt Ccy="EUR">{amount}</Amt></TxAmt></AmtDtls>'

    def namespace(self) -> str:
        return f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{self.number}"


def _detail(version: Version, amount: str, side: str) -> str:
    bank = "BICFI" if version.newer else "BIC"
    return (
        "<TxDtls><Refs><MsgId>M</MsgId><EndToEndId>E2E</EndToEndId><Prtry><Tp>T</Tp><Ref>P1</Ref></Prtry></Refs>"
        f"{version.detail_amount(amount, side)}<BkTxCd><Prtry><Cd>X</Cd></Prtry></BkTxCd>{version.charge('0.10')}"
        f"<RltdPties><Dbtr>{version.party('Payer')}</Dbtr><DbtrAcct><Id><IBAN>DE02</IBAN></Id></DbtrAcct></RltdPties>"
        f"<RltdAgts><DbtrAgt><FinInstnId><{bank}>BANKDEFF</{bank}><Nm>Bank</Nm></FinInstnId></DbtrAgt></RltdAgts>"
        "<Purp><Prtry>purpose</Prtry></Purp><RltdRmtInf><RmtId>R1</RmtId></RltdRmtInf><RmtInf><Ustrd>one</Ustrd>"
        "<Strd><CdtrRefInf><Ref>C1</Ref></CdtrRefInf><AddtlRmtInf>more</AddtlRmtInf></Strd></RmtInf>"
        "<RtrInf><AddtlInf>returned</AddtlInf></RtrInf><AddtlTxInf>info</AddtlTxInf></TxDtls>"
    )


def _entry(version: Version, amount: str, side: str, details: str = "", *, status: str = "BOOK") -> str:
    inner = f"<NtryDtls><Btch><MsgId>B</MsgId></Btch>{details}</NtryDtls>" if details else ""
    return (
        f'<Ntry><NtryRef>N</NtryRef><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><RvslInd>false</RvslInd>'
        f"{version.status(status)}<BookgDt><Dt>2026-10-01</Dt></BookgDt><ValDt><DtTm>2026-10-01T00:00:00Z</DtTm></ValDt>"
        f"<AcctSvcrRef>A</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd></Domn></BkTxCd>{version.charge('0.20')}{inner}"
        "<AddtlNtryInf>entry</AddtlNtryInf></Ntry>"
    )


def _message(version: Version, entries: str, *, opening: str, closing: str, summary: str = "") -> str:
    pages = "<PgNb>1</PgNb><LastPgInd>1</LastPgInd>"
    own_pages = f"<StmtPgntn>{pages}</StmtPgntn>" if version.newer else ""
    return (
        f'<Document xmlns="{version.namespace()}"><BkToCstmrStmt><GrpHdr><MsgId>M</MsgId>'
        f"<CreDtTm>2026-10-01T20:00:00.123+02:00</CreDtTm><MsgPgntn>{pages}</MsgPgntn></GrpHdr>"
        f"<Stmt><Id>S</Id>{own_pages}"
        "<ElctrncSeqNb>1</ElctrncSeqNb><LglSeqNb>1</LglSeqNb><CreDtTm>2026-10-01T20:00:00</CreDtTm>"
        "<FrToDt><FrDtTm>2026-10-01T00:00:00Z</FrDtTm><ToDtTm>2026-10-02T00:00:00Z</ToDtTm></FrToDt>"
        "<CpyDplctInd>COPY</CpyDplctInd><Acct><Id><Othr><Id>4711</Id></Othr></Id><Ccy>EUR</Ccy><Ownr><Nm>We</Nm></Ownr>"
        f"<Svcr><FinInstnId><Nm>Bank</Nm></FinInstnId></Svcr></Acct>"
        f"{_balance('OPBD', opening)}{_balance('CLBD', closing)}"
        f"{summary}{entries}</Stmt></BkToCstmrStmt></Document>"
    )


def _balance(code: str, written: str) -> str:
    side, digits = ("DBIT", written[1:]) if written.startswith("-") else ("CRDT", written)
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{digits}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>2026-10-01</Dt></Dt></Bal>"
    )


def _read(data: str) -> tuple[StatementReader, list[dict[str, object]]]:
    reader = parse(io.BytesIO(data.encode()), name="f")
    rows = [
        dict(zip(batch.columns, row, strict=True))
        for batch in reader.batches()
        if batch.table == reader.counted_table
        for row in batch.rows
    ]
    return reader, rows


def _without(document: str, path: str, namespace: str) -> str:
    """Return `document` without every element at `path` below the message."""
    root = ElementTree.fromstring(document)
    steps = [f"{{{namespace}}}{step}" for step in path.split("/")]
    for parent in list(_parents(root[0], steps[:-1])):
        for child in [each for each in parent if each.tag == steps[-1]]:
            parent.remove(child)
    return ElementTree.tostring(root, encoding="unicode")


def _parents(element: ElementTree.Element, steps: list[str]) -> Iterator[ElementTree.Element]:
    if not steps:
        yield element
        return
    for child in element:
        if child.tag == steps[0]:
            yield from _parents(child, steps[1:])


@pytest.mark.parametrize("number", VERSIONS)
def test_what_is_optional_may_be_absent(number: str) -> None:
    version = Version(number)
    details = _detail(version, "4.00", "CRDT") + _detail(version, "6.00", "CRDT")
    summary = (
        "<TxsSummry><TtlNtries><NbOfNtries>1</NbOfNtries></TtlNtries><TtlCdtNtries><Sum>10</Sum></TtlCdtNtries>"
        "<TtlDbtNtries><Sum>0</Sum></TtlDbtNtries></TxsSummry>"
    )
    entry = _entry(version, "10.00", "CRDT", details)
    whole = _message(version, entry, opening="1.00", closing="11.00", summary=summary)
    for path in ("", *OPTIONAL):
        document = _without(whole, path, version.namespace()) if path else whole
        reader, rows = _read(document)
        assert reader.quarantined == [], path
        assert [total for total in reader.control_totals if not total.passed] == [], path
        assert sum(Decimal(str(row["amount"])) for row in rows) == 10, path
        assert str(reader.first_on) == "2026-10-01", path


def _written(draw: st.DrawFn, minor: int) -> str:
    """Return `minor` hundredths in one of the forms that a decimal has."""
    whole, cents = divmod(minor, 100)
    digits = f"{cents:02d}" + "0" * draw(st.integers(0, 3))
    if draw(st.booleans()):
        digits = digits.rstrip("0")
    units = str(whole) if whole or not digits or draw(st.booleans()) else ""
    zeros = "0" * draw(st.integers(0, 2)) if units else ""
    point = f".{digits}" if digits or draw(st.booleans()) else ""
    return f"{draw(st.sampled_from(['', '+']))}{zeros}{units}{point}"


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, Decimal, int]:
    """Make a statement, with the sum of what is booked and how many lines it has."""
    version = Version(draw(st.sampled_from(VERSIONS)))
    opening = draw(st.integers(-(10**6), 10**6))
    entries, moved, lines = "", Decimal(0), 0
    for _ in range(draw(st.integers(0, 5))):
        parts = draw(st.lists(st.integers(0, 10**7), min_size=1, max_size=3))
        side, status = draw(st.sampled_from(["CRDT", "DBIT"])), draw(st.sampled_from(["BOOK", "BOOK", "PDNG"]))
        written = [_written(draw, part) for part in parts]
        details = "".join(_detail(version, each, side) for each in written) if draw(st.booleans()) else ""
        total = sum((Decimal(each) for each in written), Decimal(0))
        entries += _entry(version, _written(draw, int(total * 100)), side, details, status=status)
        lines += len(parts) if details else 1
        if status == "BOOK":
            moved += total if side == "CRDT" else -total
    closing = Decimal(opening).scaleb(-2) + moved
    message = _message(version, entries, opening=f"{Decimal(opening).scaleb(-2):.2f}", closing=f"{closing:.2f}")
    return message, moved, lines


@given(statements())
def test_the_lines_of_any_statement_sum_to_what_was_written(made: tuple[str, Decimal, int]) -> None:
    message, moved, lines = made
    reader, rows = _read(message)
    assert [total for total in reader.control_totals if not total.passed] == []
    assert (reader.quarantined, len(rows)) == ([], lines)
    booked = [row for row in rows if row["status"] == "BOOK"]
    signed = [Decimal(str(row["amount"])) * (1 if row["indicator"] == "CRDT" else -1) for row in booked]
    assert sum(signed, Decimal(0)) == moved
