"""Write what the banks state: ISO 20022 camt.053, one file a bank and business day, one statement an account.

The two banks write different versions of the message (.001.02 and .001.08), which differ in where a status, a party's
name, a bank's code and a transaction's amount stand. Source: the message definitions of those versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from html import escape

from sample.currencies import BANKS, PROFILES, Bank, CurrencyProfile, major
from sample.model import BankLine, BankTransaction, Statement

_COMPANY = "Counterfoil Sample Company"


def statements_name(bank: str, on: date) -> str:
    """Return the file of a bank's statements of a day."""
    return f"bank/{bank}_{on}.xml"


def render_statements(bank_code: str, statements: Sequence[Statement]) -> str:
    """Write one bank's statements of one day."""
    bank, on = BANKS[bank_code], statements[0].on
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{bank.version}">',
        "<BkToCstmrStmt>",
        f"<GrpHdr><MsgId>{bank.bic[:4]}-{on:%Y%m%d}</MsgId><CreDtTm>{on}T20:00:00Z</CreDtTm>"
        "<MsgPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></MsgPgntn></GrpHdr>",
    ]
    for statement in statements:
        parts.extend(_statement(bank, statement))
    parts.append("</BkToCstmrStmt>")
    parts.append("</Document>")
    return "\n".join(parts) + "\n"


def _statement(bank: Bank, statement: Statement) -> Iterator[str]:
    profile, on = PROFILES[statement.currency], statement.on
    yield "<Stmt>"
    yield f"<Id>{bank.bic[:4]}-{statement.currency}-{on.year}-{statement.sequence:05}</Id>"
    yield f"<ElctrncSeqNb>{statement.sequence}</ElctrncSeqNb><LglSeqNb>{statement.sequence}</LglSeqNb>"
    yield f"<CreDtTm>{on}T20:00:00Z</CreDtTm>"
    yield f"<FrToDt><FrDtTm>{on}T00:00:00Z</FrDtTm><ToDtTm>{on}T23:59:59Z</ToDtTm></FrToDt>"
    yield (
        f"<Acct><Id><IBAN>{profile.iban}</IBAN></Id><Ccy>{profile.code}</Ccy><Ownr><Nm>{_COMPANY}</Nm></Ownr>"
        f"<Svcr><FinInstnId>{_bic(bank)}<Nm>{bank.name}</Nm></FinInstnId></Svcr></Acct>"
    )
    yield _balance(profile, "OPBD", statement.opening_minor, on)
    yield _balance(profile, "CLBD", statement.closing_minor, on)
    for number, line in enumerate(statement.lines, start=1):
        yield from _entry(bank, profile, on, number, line)
    yield "</Stmt>"


def _balance(profile: CurrencyProfile, kind: str, amount_minor: int, on: date) -> str:
    indicator = "DBIT" if amount_minor < 0 else "CRDT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_amount(profile, abs(amount_minor))}"
        f"<CdtDbtInd>{indicator}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def _entry(bank: Bank, profile: CurrencyProfile, on: date, number: int, line: BankLine) -> Iterator[str]:
    status = "BOOK" if line.booked else "PDNG"
    if bank.version != "02":
        status = f"<Cd>{status}</Cd>"
    family = "RCDT" if line.indicator == "CRDT" else "ICDT"
    yield f"<Ntry><NtryRef>{number}</NtryRef>{_amount(profile, line.amount_minor)}"
    yield f"<CdtDbtInd>{line.indicator}</CdtDbtInd><RvslInd>false</RvslInd><Sts>{status}</Sts>"
    booked = f"<BookgDt><Dt>{on}</Dt></BookgDt>" if line.booked else ""
    yield f"{booked}<ValDt><Dt>{on}</Dt></ValDt>"
    yield f"<AcctSvcrRef>{line.servicer_reference}</AcctSvcrRef>"
    yield (
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{line.code}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    )
    yield "<NtryDtls>"
    if len(line.transactions) > 1:
        yield (
            f"<Btch><MsgId>{line.servicer_reference}</MsgId><NbOfTxs>{len(line.transactions)}</NbOfTxs>"
            f'<TtlAmt Ccy="{profile.code}">{major(line.amount_minor, profile.exponent)}</TtlAmt>'
            f"<CdtDbtInd>{line.indicator}</CdtDbtInd></Btch>"
        )
    for part in line.transactions:
        yield _transaction(bank, profile, line.indicator, part)
    yield "</NtryDtls></Ntry>"


def _transaction(bank: Bank, profile: CurrencyProfile, indicator: str, part: BankTransaction) -> str:
    name = f"<Nm>{escape(part.counterparty)}</Nm>"
    amount = _amount(profile, part.amount_minor)
    if bank.version == "02":
        amount = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>"
    else:
        amount = f"{amount}<CdtDbtInd>{indicator}</CdtDbtInd>"
        name = f"<Pty>{name}</Pty>"
    party = "Dbtr" if indicator == "CRDT" else "Cdtr"
    return (
        f"<TxDtls><Refs><AcctSvcrRef>{part.servicer_reference}</AcctSvcrRef>"
        f"<EndToEndId>{escape(part.end_to_end_id) or 'NOTPROVIDED'}</EndToEndId></Refs>{amount}"
        f"<RltdPties><{party}>{name}</{party}></RltdPties>"
        f"<RmtInf><Ustrd>{escape(part.narrative)}</Ustrd></RmtInf></TxDtls>"
    )


def _amount(profile: CurrencyProfile, amount_minor: int) -> str:
    return f'<Amt Ccy="{profile.code}">{major(amount_minor, profile.exponent)}</Amt>'


def _bic(bank: Bank) -> str:
    tag = "BIC" if bank.version == "02" else "BICFI"
    return f"<{tag}>{bank.bic}</{tag}>"
