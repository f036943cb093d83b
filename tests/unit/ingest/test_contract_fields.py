"""A contract is obeyed field by field: whatever it declares, some code or SQL reads and acts upon.

Declaring and mirroring is not reading: the vocabulary, the contracts themselves and what copies them into the database
do not count, and neither do the staging models that pass the mirror on.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.contract import vocabulary
from ingest.contract.amounts import amount_pattern, minor_from_text
from ingest.contract.vocabulary import (
    Case,
    Claim,
    Column,
    Contract,
    Difference,
    Kind,
    RecordType,
    Scale,
    Sign,
    SourceKind,
)
from ingest.formats.csv.reader import CsvReader
from ingest.sources import contracts
from ledger_core.errors import InvalidAmount, InvalidInput

ROOT = Path(__file__).parents[3]
HOLDERS = {
    Contract: {"contract", "_contract", "CONTRACT", "each"},
    RecordType: {"record_type", "each", "record", "best", "LINES", "STATEMENTS"},
    Column: {"column", "by_name"},
    Claim: {"claim"},
    Difference: {"rule"},
}
"""How the code calls what it reads a field of: `.name` alone would be anybody's."""
MIRRORED = {
    Contract: ("sources", {"sign": "sign_rule"}),
    RecordType: ("sources", {}),
    Claim: ("claims", {}),
}
"""Under which alias dbt reads the mirror, and the names that differ there."""
TABLES = {"events": "stg_raw__canonical_events", "claims": "stg_raw__bank_claims"}
"""Fields of a contract that are tables of their own."""


def readers() -> Iterator[tuple[str, str]]:
    """Yield every attribute that code reads, with the last name of what it is read from."""
    for room in ("ingest", "orchestration", "cli", "expectations"):
        for path in (ROOT / room).rglob("*.py"):
            if path.name in ("vocabulary.py", "raw_tables.py", "contract.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    yield _last_name(node.value), node.attr


def through(kind: type) -> Mapping[str, set[str]]:
    """Return for each field of `kind` the names by which it is read: its own, and the properties made of it."""
    tree = ast.parse(Path(vocabulary.__file__).read_text())
    names: dict[str, set[str]] = {field.name: {field.name} for field in fields(kind)}
    for owner in ast.walk(tree):
        for method in owner.body if isinstance(owner, ast.ClassDef) else ():
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                read = {node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute)}
                for name in names.keys() & read:
                    names[name].add(method.name)
    return names


def sql_reads() -> set[tuple[str, str]]:
    """Return (alias, column) of what dbt reads of the mirrors past the models that pass them on."""
    found: set[tuple[str, str]] = set()
    for path in (ROOT / "dbt").rglob("*.sql"):
        if path.name in ("stg_raw__sources.sql", "stg_raw__bank_claims.sql") or "target" in path.parts:
            continue
        text = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        found |= {("sources", name) for name in re.findall(r"declared\('(\w+)'", text)}
        found |= set(re.findall(r"\b(sources|claims)\.(\w+)", text))
        found |= {("sources", field) for field, table in TABLES.items() if f"ref('{table}')" in text}
    return found


def unread(kind: type, *, planted: tuple[str, ...] = ()) -> list[str]:
    code, sql = set(readers()), sql_reads()
    alias, renamed = MIRRORED.get(kind, ("", {}))
    # A method may belong to another class that holds one of these: `RecordType.mandatory` reads `Column.mandatory`.
    holders = HOLDERS[kind] | (HOLDERS[RecordType] if kind is Column else set())
    names = {**through(kind), **{name: {name} for name in planted}}
    return [
        field
        for field, known_as in names.items()
        if not any((holder, name) in code for holder in holders for name in known_as)
        and (alias, renamed.get(field, field)) not in sql
    ]


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript | ast.Call):
        return _last_name(node.value if isinstance(node, ast.Subscript) else node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("kind", HOLDERS, ids=lambda kind: kind.__name__)
def test_every_field_of_a_contract_is_read_by_code_or_sql(kind: type) -> None:
    assert unread(kind) == []


def test_a_field_that_nothing_reads_is_found() -> None:
    assert unread(Contract, planted=("holidays",)) == ["holidays"]


def test_every_contract_names_a_zone_that_there_is() -> None:
    assert [ZoneInfo(contract.time_zone).key for contract in contracts().values()]


COLUMNS = (
    Column(name="id", kind=Kind.ID, mandatory=True, required=True),
    Column(name="at", kind=Kind.TIMESTAMP, mandatory=True, required=True),
    Column(name="currency", kind=Kind.CURRENCY, mandatory=True, required=True),
)
NET = Column(name="net", kind=Kind.AMOUNT, mandatory=True, required=True, currency="currency")


def contract(*amounts: Column, **declared: object) -> Contract:
    """Return a contract of one record type with these amounts, declared otherwise as said."""
    record = RecordType(name="items", table="raw.x_items", dated_by="at", columns=(*COLUMNS, *amounts), reports=("x",))
    values = {
        "source": "x", "kind": SourceKind.PSP, "provider": "x", "parser_version": 1, "format": "csv",
        "encoding": "utf-8", "scale": Scale.MAJOR_DECIMAL, "sign": Sign.SIGNED, "time_zone": "UTC",
        "currency_case": Case.ANY, "record_types": (record,), **declared,
    }  # fmt: skip
    return Contract(**values)  # type: ignore[arg-type]


SIGNED = contract(NET)
INDICATED = contract(
    replace(NET, indicator="side"),
    Column(name="side", mandatory=True),
    sign=Sign.DR_CR,
    credit_word="C",
    debit_word="D",
)
TWO_COLUMNS = contract(
    replace(NET, name="debit", opposite="credit"),
    replace(NET, name="credit", required=False),
    sign=Sign.DEBIT_CREDIT_COLUMNS,
)


def read(of: Contract, *rows: str, at: str = "2026-10-01 10:00:00") -> CsvReader:
    """Read a file of `rows`, each the currency and what follows it, to its end."""
    header = of.delimiter.join(column.name for column in of.record_types[0].columns)
    lines = [of.delimiter.join((f"i{number}", at, row)) for number, row in enumerate(rows)]
    reader = CsvReader(io.BytesIO("\n".join([header, *lines, ""]).encode(of.encoding)), of, name="x.csv")
    list(reader.batches())
    return reader


def faults(of: Contract, *rows: str) -> list[str | None]:
    """Return what is wrong with each row, asked one at a time and all at once."""
    said = [next((row.code for row in read(of, row).quarantined), None) for row in rows]
    together = {row.ordinal: row.code for row in read(of, *rows).quarantined}
    assert [together.get(number) for number, _ in enumerate(rows, start=1)] == said
    return said


@pytest.mark.parametrize(
    ("scale", "good", "bad"),
    [
        (Scale.MAJOR_DECIMAL, ["usd,-12.34", "jpy,12", "kwd,1.234"], ["usd,1.234", "jpy,1.5", "usd,abc"]),
        (Scale.API_MINOR, ["usd,-1234", "jpy,12", "kwd,1234"], ["usd,12.34", "usd,12.00", "usd,1e3"]),
        (Scale.X100_ALWAYS, ["usd,-1234", "jpy,1200", "jpy,0", "kwd,1234"], ["usd,12.34", "jpy,1250", "jpy,5"]),
        (Scale.SIX_DECIMALS, ["usd,-12.340000", "jpy,12.000000", "kwd,1.234000"], ["usd,12.34", "jpy,12.500000"]),
    ],
)
def test_an_amount_is_one_in_the_scale_that_the_contract_declares(
    scale: Scale, good: list[str], bad: list[str]
) -> None:
    of = replace(SIGNED, scale=scale)
    assert faults(of, *good) == [None] * len(good)
    assert faults(of, *bad) == ["bad_amount"] * len(bad)


def test_the_same_amount_is_the_same_minor_units_under_each_scale() -> None:
    assert minor_from_text("-12.34", scale=Scale.MAJOR_DECIMAL, digits=2) == -1234
    assert minor_from_text("-0.05", scale=Scale.MAJOR_DECIMAL, digits=2) == -5
    assert minor_from_text("-1234", scale=Scale.API_MINOR, digits=2) == -1234
    assert minor_from_text("-1200", scale=Scale.X100_ALWAYS, digits=0) == -12
    assert minor_from_text("1234", scale=Scale.X100_ALWAYS, digits=3) == 12340
    assert minor_from_text("12.340000", scale=Scale.SIX_DECIMALS, digits=2) == 1234
    with pytest.raises(InvalidAmount):
        minor_from_text("12.34", scale=Scale.API_MINOR, digits=2)
    assert amount_pattern(Scale.API_MINOR, 2, signed=False).fullmatch("-1") is None


def test_an_amount_with_an_indicator_is_unsigned_and_its_side_is_one_of_two_words() -> None:
    assert faults(INDICATED, "usd,1.00,C", "usd,1.00,D") == [None, None]
    assert faults(INDICATED, "usd,1.00,X", "usd,1.00,", "usd,1.00,c") == ["bad_side"] * 3
    assert faults(INDICATED, "usd,-1.00,D") == ["bad_amount"]


def test_of_a_debit_and_a_credit_one_is_filled() -> None:
    assert faults(TWO_COLUMNS, "usd,1.00,", "usd,,1.00", "usd,0.00,1.00") == [None] * 3
    assert faults(TWO_COLUMNS, "usd,1.00,1.00", "usd,,") == ["bad_side"] * 2
    assert faults(TWO_COLUMNS, "usd,-1.00,", "usd,,-1.00") == ["bad_amount"] * 2


def test_a_header_without_the_column_of_the_side_is_refused() -> None:
    optional = replace(NET, name="fee", mandatory=False, required=False, indicator="fee_side")
    of = contract(optional, Column(name="fee_side"), sign=Sign.DR_CR, credit_word="C", debit_word="D")
    with pytest.raises(InvalidInput, match="lacks fee_side, without which nobody can tell the side of fee"):
        CsvReader(io.BytesIO(b"id,at,currency,fee\n"), of, name="x.csv")


def test_a_sign_rule_without_its_columns_is_no_contract() -> None:
    for sign in (Sign.DR_CR, Sign.DEBIT_CREDIT_COLUMNS):
        with pytest.raises(AssertionError, match="x: "):
            contract(NET, sign=sign)


def test_a_currency_in_the_other_case_is_put_aside() -> None:
    for case, good, bad in ((Case.UPPER, "USD,1", "usd,1"), (Case.LOWER, "usd,1", "USD,1")):
        assert faults(replace(SIGNED, currency_case=case), good, bad) == [None, "bad_currency"]
    assert faults(SIGNED, "USD,1", "usd,1") == [None, None]


def test_a_file_is_read_in_its_own_encoding_and_by_its_own_delimiter() -> None:
    note = Column(name="note")
    of = contract(NET, note, encoding="windows-1252", delimiter=";")
    reader = CsvReader(
        io.BytesIO("id;at;currency;net;note\ni;2026-10-01 10:00:00;usd;1;für 5 €\n".encode("cp1252")), of, name="x"
    )
    (batch,) = reader.batches()
    assert batch.rows[0][4] == "für 5 €"
    with pytest.raises(InvalidInput, match=r"x:2: byte 0xfc is not UTF-8"):
        CsvReader(io.BytesIO("id,at,currency,net,note\ni,,,,für\n".encode("cp1252")), contract(NET, note), name="x")
    with pytest.raises(InvalidInput, match="separated by commas; x files use ';'"):
        CsvReader(io.BytesIO(b"id,at,currency,net,note\n"), of, name="x")


def test_the_days_a_file_covers_are_in_utc_whatever_its_zone() -> None:
    half_past_midnight = {"at": "2026-10-02 00:30:00"}
    assert str(read(SIGNED, "usd,1", **half_past_midnight).first_on) == "2026-10-02"
    berlin = read(replace(SIGNED, time_zone="Europe/Berlin"), "usd,1", **half_past_midnight)
    assert (str(berlin.first_on), str(berlin.last_on)) == ("2026-10-01", "2026-10-01")


def test_a_column_is_found_under_what_its_provider_writes_above_it_and_told_by_that() -> None:
    of = contract(replace(NET, written=("Net (NC)", "Net")))
    for heading in ("Net (NC)", "net_nc", "NET"):
        reader = CsvReader(
            io.BytesIO(f"id,at,currency,{heading}\ni,2026-10-01 10:00:00,usd,1.005\n".encode()), of, name="x"
        )
        assert list(reader.batches()) == []
        assert "column Net (NC): '1.005'" in reader.quarantined[0].reason
    with pytest.raises(InvalidInput, match=r"lacks Net \(NC\)"):
        CsvReader(io.BytesIO(b"id,at,currency,netto\n"), of, name="x")


def test_an_amount_may_be_finer_than_its_currency_where_the_contract_says_so() -> None:
    assert faults(contract(replace(NET, is_finer=True)), "usd,1.0123", "jpy,0.5", "usd,1e3") == [
        None,
        None,
        "bad_amount",
    ]


def test_a_rate_is_a_number_without_a_sign_or_an_exponent() -> None:
    of = contract(NET, Column(name="rate", kind=Kind.RATE))
    assert faults(of, "usd,1,0.92", "usd,1,", "usd,1,12") == [None] * 3
    assert faults(of, "usd,1,-1", "usd,1,1e3", "usd,1,x", "usd,1,.5") == ["bad_rate"] * 4


ZONED = contract(NET, Column(name="own", kind=Kind.ID), Column(name="zone", kind=Kind.ID))
ZONED = replace(
    ZONED,
    record_types=(
        replace(
            ZONED.record_types[0],
            columns=tuple(
                replace(column, zoned_by=("own", "zone")) if column.name == "at" else column
                for column in ZONED.record_types[0].columns
            ),
        ),
    ),
)


def test_a_time_is_in_the_zone_that_stands_beside_it() -> None:
    assert faults(ZONED, "usd,1,,PST", "usd,1,PDT,XYZ", "usd,1,Europe/Berlin,") == [None] * 3
    assert faults(ZONED, "usd,1,,", "usd,1,XYZ,PST", "usd,1,,IST") == ["bad_zone"] * 3
    reader = read(ZONED, "usd,1,,PST", "usd,1,CET,PST", at="2026-10-02 00:30:00")
    assert (str(reader.first_on), str(reader.last_on)) == ("2026-10-01", "2026-10-02")


def test_no_row_has_a_zone_where_the_file_has_no_column_of_it() -> None:
    reader = CsvReader(io.BytesIO(b"id,at,currency,net\ni,2026-10-01 10:00:00,usd,1\n"), ZONED, name="x")
    assert list(reader.batches()) == []
    assert [row.code for row in reader.quarantined] == ["bad_zone"]


def test_a_contract_names_no_column_that_it_does_not_have() -> None:
    for named in ({"identified_by": ("id", "gone")}, {"columns": (replace(COLUMNS[1], zoned_by=("gone",)), NET)}):
        with pytest.raises(AssertionError, match="x: items has no"):
            replace(SIGNED, record_types=(replace(SIGNED.record_types[0], **named),))
