"""Write what the banks state: ISO 20022 camt.053, one file a bank and business day, one statement an account.

The two banks write different versions of the message (.001.02 and .001.08), which differ in where a status, a party's
name, a bank's code and a transaction's amount stand. Source: the message definitions of those versions. Where a bank
puts payer and reference of a payout is texts.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from sample.currencies import BANKS, PROFILES, Bank, CurrencyProfile, iban_of, major
from sample.model import BankLine, BankTransaction, Statement
from sample.statements.making import Making, numbered, spoilt
from sample.statements.texts import Told, odd_text, plain_text

_COMPANY = "Counterfoil Sample Company"

SOURCE, SUFFIX = "camt053", ".xml"


def render(bank_code: str, statements: Sequence[Statement], making: Making) -> str:
    """Write one bank's statements of one day."""
    bank, on = BANKS[bank_code], statements[0].on
    message = f"{bank.bic[:4]}-{on:%Y%m%d}" + ("" if making.version in ("right", "wrong") else f"-{making.version}")
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{bank.version}">',
        "<BkToCstmrStmt>",
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>{making.made_at(on)}</CreDtTm>"
        "<MsgPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></MsgPgntn></GrpHdr>",
    ]
    for statement in spoilt(statements) if making.version == "wrong" else statements:
        parts.extend(_statement(bank, statement, making))
    parts.append("</BkToCstmrStmt>")
    parts.append("</Document>")
    return "\n".join(parts) + "\n"


def _statement(bank: Bank, statement: Statement, making: Making) -> Iterator[str]:
    profile, on = PROFILES[statement.currency], statement.on
    number, name = numbered(bank, statement, making)
    again = making.version == "again"
    yield "<Stmt>"
    yield f"<Id>{name}{'-D' if again else ''}</Id>"
    if number:
        yield f"<ElctrncSeqNb>{number}</ElctrncSeqNb><LglSeqNb>{number}</LglSeqNb>"
    yield f"<CreDtTm>{making.made_at(on)}</CreDtTm>"
    yield f"<FrToDt><FrDtTm>{on}T00:00:00Z</FrDtTm><ToDtTm>{on}T23:59:59Z</ToDtTm></FrToDt>"
    if again:
        yield "<CpyDplctInd>DUPL</CpyDplctInd>"
    yield (
        f"<Acct><Id><IBAN>{iban_of(profile, making.request.book)}</IBAN></Id><Ccy>{profile.code}</Ccy>"
        f"<Ownr><Nm>{_COMPANY}</Nm></Ownr>"
        f"<Svcr><FinInstnId>{_bic(bank)}<Nm>{bank.name}</Nm></FinInstnId></Svcr></Acct>"
    )
    yield _balance(profile, "OPBD", statement.opening_minor, on)
    yield _balance(profile, "CLBD", statement.closing_minor, on)
    for ordinal, line in enumerate(statement.lines, start=1):
        yield from _entry(bank, profile, on, ordinal, line, making)
    yield "</Stmt>"


def _balance(profile: CurrencyProfile, kind: str, amount_minor: int, on: date) -> str:
    indicator = "DBIT" if amount_minor < 0 else "CRDT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_amount(profile, abs(amount_minor))}"
        f"<CdtDbtInd>{indicator}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def _entry(
    bank: Bank, profile: CurrencyProfile, on: date, number: int, line: BankLine, making: Making
) -> Iterator[str]:
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
    is_alone = len(line.transactions) == 1
    told = [_told(bank, part, odd="texts" in making.request.dirt and is_alone) for part in line.transactions]
    if any(each.has_details for each in told):
        yield "<NtryDtls>"
        if not is_alone:
            yield (
                f"<Btch><MsgId>{line.servicer_reference}</MsgId><NbOfTxs>{len(line.transactions)}</NbOfTxs>"
                f'<TtlAmt Ccy="{profile.code}">{major(line.amount_minor, profile.exponent)}</TtlAmt>'
                f"<CdtDbtInd>{line.indicator}</CdtDbtInd></Btch>"
            )
        for part, each in zip(line.transactions, told, strict=True):
            yield _transaction(bank, profile, line.indicator, part, each)
        yield "</NtryDtls>"
    yield from (f"<AddtlNtryInf>{each.on_entry}</AddtlNtryInf>" for each in told if each.on_entry)
    yield "</Ntry>"


def _told(bank: Bank, part: BankTransaction, *, odd: bool) -> Told:
    names_agents = bank.version != "02"
    return odd_text(part, names_agents=names_agents) if odd and part.is_payout else plain_text(part)


def _transaction(bank: Bank, profile: CurrencyProfile, indicator: str, part: BankTransaction, told: Told) -> str:
    amount, name = _amount(profile, part.amount_minor), told.party
    if bank.version == "02":
        amount = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>"
    else:
        amount = f"{amount}<CdtDbtInd>{indicator}</CdtDbtInd>"
        name = name if told.is_agent else f"<Pty>{name}</Pty>"
    party = "Dbtr" if indicator == "CRDT" else "Cdtr"
    return (
        f"<TxDtls><Refs><AcctSvcrRef>{part.servicer_reference}</AcctSvcrRef>"
        f"<EndToEndId>{told.end_to_end}</EndToEndId></Refs>{amount}"
        f"<RltdPties><{party}>{name}</{party}></RltdPties>{told.remittance}</TxDtls>"
    )


def _amount(profile: CurrencyProfile, amount_minor: int) -> str:
    return f'<Amt Ccy="{profile.code}">{major(amount_minor, profile.exponent)}</Amt>'


def _bic(bank: Bank) -> str:
    tag = "BIC" if bank.version == "02" else "BICFI"
    return f"<{tag}>{bank.bic}</{tag}>"
