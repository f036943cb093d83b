"""What a bank line is: whose, by which name wherever the bank puts it, and whether another line takes it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cases.conftest import Line, Outcome, Page, Scenarios

pytestmark = pytest.mark.integration


def _statement(*lines: Line, day: str = "2026-03-05", opening: int = 0) -> Page:
    return Page(day=day, opening=opening, lines=lines, id=day)


def _line(minor: int, text: str = "STRIPE payout", **more: object) -> Line:
    return Line(minor=minor, text=text, **more)


IN, BACK = _line(500), _line(-500, reversal=True)
OUT, RETURNED = _line(-300, "STRIPE top-up"), _line(300, "STRIPE top-up", reversal=True)

# Name: (statements, amounts and texts that are left, amounts that cancel)
REVERSALS: dict[str, tuple[list[Page], list[tuple[int, str]], list[int]]] = {
    "books-reverses-books": ([_statement(IN, BACK, IN)], [(500, "STRIPE payout")], [-500, 500]),
    "over-two-statements": (
        [_statement(IN), _statement(BACK, IN, day="2026-03-06", opening=500)],
        [(500, "STRIPE payout")],
        [500, -500],
    ),
    "never-booked-again": ([_statement(IN, BACK)], [], [-500, 500]),
    "a-debit": ([_statement(OUT, RETURNED, OUT)], [(-300, "STRIPE top-up")], [-300, 300]),
    "three-times": ([_statement(IN, BACK, IN, BACK, IN)], [(500, "STRIPE payout")], [-500, -500, 500, 500]),
    "listed-newest-first": ([_statement(BACK, IN)], [], [-500, 500]),
    "of-a-line-before-the-first-statement": ([_statement(BACK)], [(-500, "STRIPE payout")], []),
    "of-one-of-two-payouts": (
        [
            _statement(
                _line(500, "STRIPE A", end_to_end="A1"),
                _line(500, "STRIPE B", end_to_end="B1"),
                _line(-500, "STORNO", end_to_end="A1", reversal=True),
            )
        ],
        [(500, "STRIPE B")],
        [-500, 500],
    ),
    "that-says-nothing": ([_statement(IN, _line(-500, "STORNO", reversal=True))], [], [-500, 500]),
    "that-says-nothing-of-two": (
        [_statement(_line(500, "rent"), _line(500, "STRIPE"), _line(-500, "STORNO", reversal=True))],
        [(-500, "STORNO"), (500, "STRIPE"), (500, "rent")],
        [],
    ),
    "that-says-nothing-of-two-that-say-the-same": (
        [_statement(IN), _statement(_line(-500, "STORNO", reversal=True), IN, day="2026-03-06", opening=500)],
        [(500, "STRIPE payout")],
        [500, -500],
    ),
    "of-another-amount": (
        [_statement(IN, _line(-400, reversal=True))],
        [(-400, "STRIPE payout"), (500, "STRIPE payout")],
        [],
    ),
    "that-is-no-reversal": ([_statement(IN, _line(-500))], [(-500, "STRIPE payout"), (500, "STRIPE payout")], []),
    "of-the-latest-of-equal-lines": (
        [_statement(IN), _statement(IN, BACK, IN, day="2026-03-12", opening=500)],
        [(500, "STRIPE payout"), (500, "STRIPE payout")],
        [-500, 500],
    ),
    "after-the-day": (
        [_statement(IN), _statement(_line(-500, reversal=True, day="2026-03-25"), day="2026-03-25", opening=500)],
        [(500, "STRIPE payout")],
        [],
    ),
}


def _agents(kind: str) -> str:
    return f"<RltdAgts><{kind}><FinInstnId><Nm>STRIPE BANK</Nm></FinInstnId></{kind}></RltdAgts>"


def _party(inner: str, *, role: str = "Dbtr") -> str:
    return f"<RltdPties><{role}>{inner}</{role}></RltdPties>"


def _detail(xml: str, *, minor: int = 500) -> Line:
    return Line(minor=minor, text="payment", detail=xml)


NAME = "<Nm>Stripe Ltd</Nm>"
# Name: (line, whether it is the provider's, a text that must be there)
NAMES: dict[str, tuple[Line, bool, tuple[str, str] | None]] = {
    "party": (_detail(_party(NAME)), True, ("party", "Stripe Ltd")),
    "party-by-choice": (_detail(_party(f"<Pty>{NAME}</Pty>")), True, ("party", "Stripe Ltd")),
    "party-as-agent": (_detail(_party(f"<Agt><FinInstnId>{NAME}</FinInstnId></Agt>")), True, ("party", "Stripe Ltd")),
    "ultimate-party": (_detail(_party(f"<Pty>{NAME}</Pty>", role="UltmtDbtr")), True, ("party", "Stripe Ltd")),
    "initiating-party": (_detail(_party(f"<Pty>{NAME}</Pty>", role="InitgPty")), True, ("party", "Stripe Ltd")),
    "proprietary-party": (
        _detail(_party(f"<Tp>X</Tp><Pty>{NAME}</Pty>", role="Prtry")),
        True,
        ("party", "Stripe Ltd"),
    ),
    "name-of-the-account": (_detail(_party(NAME, role="DbtrAcct")), True, ("party", "Stripe Ltd")),
    "bank-of-the-payer": (_detail(_agents("DbtrAgt")), True, ("party", "STRIPE BANK")),
    "creditor-of-a-debit": (
        _detail(_party(f"<Pty>{NAME}</Pty>", role="Cdtr"), minor=-500),
        True,
        ("party", "Stripe Ltd"),
    ),
    "our-own-name": (_detail(_party("<Nm>Pin Stripe Wear</Nm>", role="Cdtr")), False, None),
    "our-own-bank": (_detail(_agents("CdtrAgt")), False, None),
    "somebody": (_detail(_party("<Nm>Striped Horse Ltd</Nm>")), False, ("party", "Striped Horse Ltd")),
    "narrative": (Line(minor=500, text="by STRIPE"), True, ("text", "by STRIPE")),
    "entry-information": (
        Line(minor=500, text="x", more="<AddtlNtryInf>STRIPE po_1</AddtlNtryInf>"),
        True,
        ("text", "STRIPE po_1"),
    ),
    "transaction-information": (_detail("<AddtlTxInf>STRIPE</AddtlTxInf>"), True, ("text", "STRIPE")),
    "additional-remittance": (
        _detail("<RmtInf><Strd><AddtlRmtInf>STR</AddtlRmtInf><AddtlRmtInf>po_ABCDEF12</AddtlRmtInf></Strd></RmtInf>"),
        True,
        ("text", "STR po_ABCDEF12"),
    ),
    "creditor-reference": (
        _detail(
            "<RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>po_ABCDEF12</Ref>"
            "</CdtrRefInf></Strd></RmtInf>"
        ),
        True,
        ("reference", "po_ABCDEF12"),
    ),
    "end-to-end": (Line(minor=500, text="x", end_to_end="po_ABCDEF12"), True, ("reference", "po_ABCDEF12")),
    "related-remittance": (
        _detail("<RltdRmtInf><RmtId>po_ABCDEF12</RmtId></RltdRmtInf>"),
        True,
        ("reference", "po_ABCDEF12"),
    ),
    "wrapped": (Line(minor=500, text="STRIPE po_AB</Ustrd><Ustrd>CDEF12"), True, ("text", "STRIPE po_AB CDEF12")),
}

PLACEHOLDERS = ["NOTPROVIDED", "not provided", "Not-Provided", "NONREF", "None", "n/a", "0000000", "---", "null"]

BATCH = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><GrpHdr><MsgId>M</MsgId>'
    "<CreDtTm>2026-03-05T20:00:00</CreDtTm></GrpHdr><Stmt><Id>B</Id>"
    "<Acct><Id><IBAN>IBAN_HERE</IBAN></Id><Ccy>EUR</Ccy></Acct>"
    '<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    '<Dt><Dt>2026-03-05</Dt></Dt></Bal><Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">+005.50</Amt>'
    "<CdtDbtInd>CRDT</CdtDbtInd><Dt><DtTm>2026-03-05T23:59:59+01:00</DtTm></Dt></Bal>"
    '<Ntry><Amt Ccy="EUR">5.500</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    "<Sts>BOOK</Sts><ValDt><Dt>2026-03-05</Dt></ValDt><NtryDtls>"
    "<TxDtls><Refs><EndToEndId>po_AAAAAA</EndToEndId></Refs><RltdPties><Dbtr><Nm>Stripe</Nm></Dbtr></RltdPties></TxDtls>"
    "<TxDtls><Refs><EndToEndId>po_BBBBBB</EndToEndId></Refs><RltdPties><Dbtr><Nm>Stripe</Nm></Dbtr></RltdPties></TxDtls>"
    "</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
)


@pytest.fixture(scope="module")
def landed(outcomes: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    scenarios: Scenarios = {f"r-{name}": pages for name, (pages, _, _) in REVERSALS.items()}
    scenarios |= {f"n-{name}": [_statement(line)] for name, (line, _, _) in NAMES.items()}
    scenarios |= {
        f"p-{place}": [_statement(Line(minor=500, text="STRIPE", end_to_end=word))]
        for place, word in enumerate(PLACEHOLDERS)
    }
    return outcomes({**scenarios, "batch": [BATCH]})


@pytest.mark.parametrize("name", REVERSALS)
def test_a_reversal_and_what_it_reverses_cancel(landed: dict[str, Outcome], name: str) -> None:
    _, left, cancelled = REVERSALS[name]
    outcome = landed[f"r-{name}"]
    assert sorted(outcome.counted) == sorted(left)
    assert sorted(outcome.cancelled) == sorted(cancelled)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_counts_wherever_the_bank_puts_it(landed: dict[str, Outcome], name: str) -> None:
    _, is_ours, said = NAMES[name]
    outcome = landed[f"n-{name}"]
    assert bool(outcome.claimed) == is_ours, outcome.texts
    assert said is None or said in outcome.texts


@pytest.mark.parametrize("place", range(len(PLACEHOLDERS)), ids=PLACEHOLDERS)
def test_a_placeholder_is_no_reference(landed: dict[str, Outcome], place: int) -> None:
    outcome = landed[f"p-{place}"]
    assert outcome.texts == {("text", "STRIPE")}
    assert outcome.claimed == [(500, False)]


def test_a_batch_without_amounts_stays_whole_and_keeps_what_its_details_name(landed: dict[str, Outcome]) -> None:
    outcome = landed["batch"]
    assert outcome.reasons == set()
    assert outcome.texts == {("party", "Stripe"), ("reference", "po_AAAAAA"), ("reference", "po_BBBBBB")}
    assert [amount for amount, _ in outcome.claimed] == [550]
