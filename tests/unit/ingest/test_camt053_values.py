"""What the values of a statement mean: every lexical form, every side, charge and currency, and their totals."""

from __future__ import annotations

import orjson
import pytest

from ingest.sources.camt053 import parse as parse_module
from ledger_core.errors import InvalidInput


def _detail(amount: str = "", *, currency: str = "EUR", side: str = "", more: str = "", e2e: str = "E") -> str:
    money = f'<Amt Ccy="{currency}">{amount}</Amt>' if amount else ""
    indicator = f"<CdtDbtInd>{side}</CdtDbtInd>" if side else ""
    return f"<TxDtls><Refs><EndToEndId>{e2e}</EndToEndId></Refs>{money}{indicator}{more}</TxDtls>"


def _charge(amount: str, side: str = "DBIT", *, currency: str = "EUR", record: bool = True) -> str:
    indicator = f"<CdtDbtInd>{side}</CdtDbtInd>" if side else ""
    inner = f'<Amt Ccy="{currency}">{amount}</Amt>{indicator}'
    return f"<Chrgs>{f'<Rcrd>{inner}</Rcrd>' if record else inner}</Chrgs>"


def _totals(read) -> dict[str, bool]:
    return {total.name: total.passed for total in read.reader.control_totals}


@pytest.mark.parametrize(
    ("written", "closing"),
    [
        (".50", "100.50"),
        ("+1.00", "101.00"),
        ("007.00", "107"),
        ("7.", "107.0"),
        ("10.50000", "110.5"),
        ("+.5", "0100.500"),
        ("-0.00", "100.00"),
        ("00", "100.00"),
    ],
)
def test_an_amount_is_any_form_of_a_decimal(read_statement, statement, entry, written, closing):
    read = read_statement(statement(entry(written), closing=closing))
    assert read.faults == []
    assert [line["amount"] for line in read.rows] == [written]
    assert _totals(read) == {"balance": True}


@pytest.mark.parametrize(
    "written", [".", "+", "-", "", "1e2", "1,00", "1 000.00", "0x10", "١٠", "--1", "+-1", "NaN", "INF"]
)
def test_what_is_no_decimal_is_put_aside(read_statement, statement, entry, written):
    assert read_statement(statement(entry(written))).faults == [(2, "bad_amount")]


def test_the_largest_amount_is_that_of_a_posting(read_statement, statement, entry):
    assert read_statement(statement(entry("92233720368547758.07"))).faults == []
    assert read_statement(statement(entry("92233720368547758.08"))).faults == [(2, "bad_amount")]


@pytest.mark.parametrize(
    ("written", "is_read"), [("true", True), ("false", True), ("1", True), ("0", True), ("TRUE", False), ("yes", False)]
)
def test_a_reversal_is_said_by_a_boolean(read_statement, statement, entry, written, is_read):
    read = read_statement(statement(entry(more=f"<RvslInd>{written}</RvslInd>")))
    assert read.faults == ([] if is_read else [(2, "bad_boolean")])


@pytest.mark.parametrize(("before", "after"), [("<PgNb>1", "<PgNb>one"), ("false</LastPgInd>", "no</LastPgInd>")])
def test_pages_that_are_no_pages_refuse_the_file(read_statement, statement, before, after):
    pages = "<MsgPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></MsgPgntn>".replace(before, after)
    with pytest.raises(InvalidInput, match="MsgPgntn"):
        read_statement(statement("", pages=pages))


def test_a_value_date_alone_is_the_day(read_statement, statement, entry):
    read = read_statement(statement(entry(booked=None, more="<ValDt><Dt>2026-09-30</Dt></ValDt>")))
    assert (read.faults, str(read.reader.first_on)) == ([], "2026-09-30")


def test_a_time_with_its_zone_is_of_the_day_that_the_bank_writes(read_statement, statement, entry):
    booked = "<BookgDt><DtTm>2026-10-01T23:30:00-05:00</DtTm></BookgDt>"
    [line] = read_statement(statement(entry(booked=None, more=booked))).rows
    assert line["booked_on"] == "2026-10-01"


@pytest.mark.parametrize("status", ["PDNG", "INFO", "FUTR"])
def test_what_is_not_booked_carries_no_day(read_statement, statement, entry, status):
    read = read_statement(statement(entry(status=status, booked="2062-01-01"), closing="100.00"))
    assert str(read.reader.last_on) == "2026-10-01"
    assert _totals(read) == {"balance": True}


@pytest.mark.parametrize(
    ("credits", "debits", "failing"),
    [
        ("10.00", "4.00", set()),
        ("10.00", "-4.00", set()),
        ("-10.00", "4.00", set()),
        ("+10.0", "04.00", set()),
        ("4.00", "10.00", {"summary_credits", "summary_debits"}),
        ("10.01", "4.00", {"summary_credits"}),
        ("10.00", "3.99", {"summary_debits"}),
        ("0.00", "0.00", {"summary_credits", "summary_debits"}),
    ],
)
def test_the_banks_own_sums_are_held_against_the_entries(read_statement, statement, entry, credits, debits, failing):
    summary = (
        f"<TxsSummry><TtlCdtNtries><Sum>{credits}</Sum></TtlCdtNtries>"
        f"<TtlDbtNtries><Sum>{debits}</Sum></TtlDbtNtries></TxsSummry>"
    )
    read = read_statement(statement(entry() + entry("4.00", side="DBIT"), closing="106.00", summary=summary))
    assert {name for name, passed in _totals(read).items() if not passed} == failing


@pytest.mark.parametrize(("stated", "passes"), [("2", True), ("3", True), ("1", False), ("4", False)])
def test_the_banks_count_may_leave_out_what_is_announced(read_statement, statement, entry, stated, passes):
    summary = f"<TxsSummry><TtlNtries><NbOfNtries>{stated}</NbOfNtries></TtlNtries></TxsSummry>"
    body = entry() + entry("4.00", side="DBIT") + entry("9.00", status="PDNG")
    assert _totals(read_statement(statement(body, closing="106.00", summary=summary)))["summary_entries"] is passes


def test_an_entry_that_was_put_aside_is_counted_still(read_statement, statement, entry):
    summary = "<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>"
    read = read_statement(statement(entry() + entry("x"), summary=summary))
    assert (_totals(read)["summary_entries"], len(read.faults)) == (True, 1)


@pytest.mark.parametrize(
    ("charge", "amount"),
    [
        (_charge("5.00"), "95.00"),
        (_charge("5.00", ""), "95.00"),
        (_charge("5.00", "CRDT"), "105.00"),
        (_charge("5.00", record=False), "95.00"),
        ('<Chrgs><TtlChrgsAndTaxAmt Ccy="EUR">5.00</TtlChrgsAndTaxAmt></Chrgs>', "95.00"),
        (_charge("5.00"), "100.00"),
    ],
)
@pytest.mark.parametrize("place", ["entry", "detail", "both"])
def test_a_charge_explains_an_entry_wherever_it_stands(read_statement, statement, entry, charge, amount, place):
    detail = _detail("100.00", more=charge if place != "entry" else "")
    read = read_statement(statement(entry(amount, more=charge if place != "detail" else "", details=detail)))
    assert _totals(read)["entry_details"] is True


@pytest.mark.parametrize(
    "charge", [_charge("5.00", "CRDT"), _charge("5.00", "", currency="USD"), _charge("4.99"), _charge("5.00", "BOTH")]
)
def test_a_charge_that_does_not_explain_an_entry_fails_it(read_statement, statement, entry, charge):
    read = read_statement(statement(entry("95.00", details=_detail("100.00", more=charge))))
    assert _totals(read)["entry_details"] is False


def test_details_in_another_currency_are_no_lines_and_no_sum(read_statement, statement, entry):
    details = _detail("4.00", currency="USD") + _detail("6.00", currency="USD")
    read = read_statement(statement(entry(details=details)))
    assert [(line["amount"], line["currency"]) for line in read.rows] == [("10.00", "EUR")]
    assert "entry_details" not in _totals(read)


@pytest.mark.parametrize("place", ["TxAmt", "CntrValAmt"])
def test_a_detail_in_another_currency_may_state_the_accounts_beside_it(read_statement, statement, entry, place):
    details = "".join(
        _detail(
            "9.00", currency="USD", e2e=e2e, more=f'<AmtDtls><{place}><Amt Ccy="EUR">{own}</Amt></{place}></AmtDtls>'
        )
        for e2e, own in (("A", "4.00"), ("B", "6.00"))
    )
    read = read_statement(statement(entry(details=details)))
    assert [(line["end_to_end_id"], line["amount"], line["currency"]) for line in read.rows] == [
        ("A", "4.00", "EUR"),
        ("B", "6.00", "EUR"),
    ]


def test_a_detail_has_its_own_side_and_other_party(read_statement, statement, entry):
    parties = "<RltdPties><Dbtr><Nm>Payer</Nm></Dbtr><Cdtr><Nm>Payee</Nm></Cdtr></RltdPties>"
    details = _detail("15.00", more=parties) + _detail("5.00", side="DBIT", more=parties)
    read = read_statement(statement(entry("10.00", details=details)))
    assert _totals(read)["entry_details"] is True
    assert [(line["amount"], line["indicator"], line["counterparty_name"]) for line in read.rows] == [
        ("15.00", "CRDT", "Payer"),
        ("5.00", "DBIT", "Payee"),
    ]


def test_details_that_do_not_add_up_leave_the_entry_whole(read_statement, statement, entry):
    read = read_statement(statement(entry(details=_detail("4.00", e2e="A") + _detail("5.00", e2e="B"))))
    [line] = read.rows
    assert line["amount"] == "10.00"
    assert orjson.loads(line["extra"])["references"] == ["E1", "ASR1", "A", "B"]


@pytest.mark.parametrize(
    ("codes", "opening", "closing"),
    [
        (["OPBD", "CLBD"], "100.00", "101.00"),
        (["PRCD", "CLBD"], "100.00", "101.00"),
        (["OPBD", "ITBD"], "100.00", "101.00"),
        (["ITBD", "CLBD"], "100.00", "101.00"),
        (["ITBD", "ITBD"], "100.00", "101.00"),
        (["OPBD", "ITBD", "ITBD"], "100.00", "102.00"),
        (["ITBD", "ITBD", "ITBD"], "100.00", "102.00"),
        (["OPBD", "ITBD", "CLBD"], "100.00", "102.00"),
        (["CLBD", "OPBD"], "101.00", "100.00"),
        (["OPAV", "CLAV"], None, None),
        (["ITBD"], "100.00", None),
    ],
)
def test_balances_open_and_close_by_what_they_are(read_statement, statement, codes, opening, closing):
    text = statement("")
    start, end = text.index("<Bal>"), text.rindex("</Bal>") + len("</Bal>")
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{100 + place}.00</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-10-01</Dt></Dt></Bal>"
        for place, code in enumerate(codes)
    )
    [read] = read_statement(text[:start] + balances + text[end:]).statements
    assert (read["opening_amount"], read["closing_amount"]) == (opening, closing)


def test_balances_in_a_second_currency_are_not_the_accounts(read_statement, statement, entry):
    foreign = (
        '<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">7.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<Dt><Dt>2026-10-01</Dt></Dt></Bal>"
    )
    read = read_statement(statement(entry()).replace("<Bal>", f"{foreign}<Bal>", 1))
    assert _totals(read) == {"balance": True}


def test_a_proprietary_bank_transaction_code_is_kept(read_statement, statement, entry):
    [line] = read_statement(statement(entry(more="<BkTxCd><Prtry><Cd>NTRF+166</Cd></Prtry></BkTxCd>"))).rows
    assert line["bank_transaction_code"] == "NTRF+166"


def test_when_a_statement_was_made_is_said_by_its_message_too(read_statement, statement):
    text = statement("").replace("<MsgId>M1</MsgId>", "<MsgId>M1</MsgId><CreDtTm>2026-10-02T01:00:00Z</CreDtTm>")
    [both] = read_statement(text).statements
    assert (both["created_at"], orjson.loads(both["extra"])["message_created_at"]) == (
        "2026-10-01T20:00:00Z",
        "2026-10-02T01:00:00Z",
    )
    [alone] = read_statement(text.replace("<CreDtTm>2026-10-01T20:00:00Z</CreDtTm>", "")).statements
    assert alone["created_at"] == "2026-10-02T01:00:00Z"


def test_a_statement_of_no_day_is_refused(read_statement, statement):
    text = (
        statement("").replace("<CreDtTm>2026-10-01T20:00:00Z</CreDtTm>", "").replace("<Dt><Dt>2026-10-01</Dt></Dt>", "")
    )
    with pytest.raises(InvalidInput, match="statement 1 has no day"):
        read_statement(text)


@pytest.mark.parametrize(
    ("bound", "body"), [("MAX_DETAILS", lambda entry: entry(details=_detail() * 3)), ("MAX_STATEMENTS", None)]
)
def test_a_file_that_is_too_large_is_refused_by_its_bound(read_statement, statement, entry, monkeypatch, bound, body):
    monkeypatch.setattr(parse_module, bound, 2)
    bodies = [body(entry)] if body else ["", "", ""]
    with pytest.raises(InvalidInput, match=rf"more than 2 \w+.*\({bound}\)"):
        read_statement(statement(*bodies))
    bodies = [entry(details=_detail() * 2)] if body else ["", ""]
    assert len(read_statement(statement(*bodies)).statements) == len(bodies)


def test_a_text_of_a_detail_is_bounded_as_every_field_is(read_statement, statement, entry):
    long = f"<RmtInf><Strd><AddtlRmtInf>{'x' * 40_000}</AddtlRmtInf></Strd></RmtInf>"
    assert read_statement(statement(entry(details=_detail(more=long)))).faults == [(2, "too_long")]


@pytest.mark.parametrize(
    "place",
    [
        "<AddtlTxInf>{}</AddtlTxInf>",
        "<RmtInf><Ustrd>{}</Ustrd></RmtInf>",
        "<RmtInf><Strd><AddtlRmtInf>{}</AddtlRmtInf></Strd></RmtInf>",
        "<Purp><Prtry>{}</Prtry></Purp>",
    ],
)
def test_a_card_number_is_found_in_every_text(read_statement, statement, entry, place):
    details = _detail(more=place.format("card 4242424242424242")) + _detail()
    read = read_statement(statement(entry(details=details)))
    assert (read.faults, read.reader.cards) == ([(2, "card_number")], {"4242424242424242"})
