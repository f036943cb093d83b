"""Invariants of reading statements, over generated and damaged files."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.camt053.parse import StatementReader, parse
from ledger_core.errors import InvalidInput
from ledger_core.journal.money import decimal_from_minor

entries = st.lists(st.tuples(st.integers(1, 10**9), st.sampled_from(["CRDT", "DBIT"])), max_size=8)


def _file(opening: int, movements: list[tuple[int, str]], *, error: int = 0) -> bytes:
    closing = opening + error + sum(amount if side == "CRDT" else -amount for amount, side in movements)
    body = "".join(
        f'<Ntry><Amt Ccy="EUR">{decimal_from_minor(amount, "EUR")}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        "<Sts>BOOK</Sts><BookgDt><Dt>2026-10-01</Dt></BookgDt></Ntry>\n"
        for amount, side in movements
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id>'
        f"<IBAN>DE02100500000054540402</IBAN></Id><Ccy>EUR</Ccy></Acct>{_balance('OPBD', opening)}"
        f"{_balance('CLBD', closing)}\n{body}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _balance(code: str, minor: int) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{decimal_from_minor(abs(minor), "EUR")}'
        f"</Amt><CdtDbtInd>{'DBIT' if minor < 0 else 'CRDT'}</CdtDbtInd><Dt><Dt>2026-10-01</Dt></Dt></Bal>"
    )


def _read(data: bytes) -> StatementReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        reader = parse(io.BytesIO(data), name="f")
        list(reader.batches())
    except InvalidInput as error:
        return error
    return reader


@given(st.integers(-(10**9), 10**9), entries, st.integers(-5, 5))
def test_the_balance_total_holds_exactly_when_the_sums_do(opening, movements, error):
    reader = parse(io.BytesIO(_file(opening, movements, error=error)), name="f")
    list(reader.batches())
    [total] = reader.control_totals
    assert total.passed == (error == 0)
    assert reader.read == reader.accepted == len(movements)


@given(entries, st.data())
def test_a_statement_cut_anywhere_is_refused(movements, data):
    whole = _file(0, movements)
    outcome = _read(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert isinstance(outcome, InvalidInput)
    assert outcome.line
    assert outcome.remedy


@given(entries, st.data())
def test_any_byte_changed_is_read_or_refused_and_nothing_else(movements, data):
    damaged = bytearray(_file(0, movements))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = _read(bytes(damaged))
    if not isinstance(outcome, InvalidInput):
        assert outcome.read == outcome.accepted + len(outcome.quarantined)
