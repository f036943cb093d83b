"""What a run costs beside matching when ten million matches lie behind it: the hash over them and the merge of breaks.

The rows are made by `generate_series` straight into tables of the marts' names. The hash is measured against the single
text over all rows that it replaced; the merge at a tenth of the differences and at all of them, by the row.

    python -m bench.growth [--matches N] [--quick]
"""

from __future__ import annotations

import argparse
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from reconciliation.breaks.merge import merge_differences
from reconciliation.runs.output_hashes import MATCH_COLUMNS, output_hashes

LIMIT_SECONDS = 60.0
LIMIT_MIB = 500.0
SCHEMA = "growth"


def main() -> int:
    """Run the benchmark; exit 1 when a limit is missed at full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matches", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 matches, to see that it runs")
    options = parser.parse_args()
    matches = 20_000 if options.quick else options.matches
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    embedded = EmbeddedPostgres(folder=folder / "postgres")
    process, port = embedded.start()
    try:
        engine = make_engine(embedded.url(port, "postgres"), role="login")
        migrate(engine)
        return _measure(engine, matches, quick=options.quick)
    finally:
        process.send_signal(2)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _measure(engine: Engine, matches: int, *, quick: bool) -> int:
    differences = max(matches // 100, 10)
    with engine.connect() as connection:
        connection.execute(text(_TABLES.format(schema=SCHEMA)))
        connection.execute(text(_MATCHES.format(schema=SCHEMA)), {"rows": matches})
        connection.execute(text(f"insert into {SCHEMA}.break_classes values ('missing_in_ledger', 'matched_late')"))
        connection.commit()
        few = _timed(lambda: _merge(connection, differences // 10, ordinal=1))
        connection.execute(text(_FORGET.format(schema=SCHEMA)))
        connection.commit()
        many = _timed(lambda: _merge(connection, differences, ordinal=2))
        connection.commit()
        hashing = _timed(lambda: output_hashes(connection, SCHEMA))
        before = _timed(
            lambda: connection.execute(text(_ONE_TEXT.format(schema=SCHEMA, columns=MATCH_COLUMNS))).scalar()
        )
        connection.rollback()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"python {platform.python_version()}, {matches:,} matches, {differences:,} differences")
    print(f"  hashes over matches and differences  {hashing:8.2f} s, one text over all rows {before:8.2f} s")
    print(f"  ratio one text / tree                {before / hashing:8.2f}")
    print(f"  merge of all differences             {many:8.2f} s, of a tenth {few:8.2f} s")
    print(f"  ratio by the row, all / a tenth      {many / few / 10:8.2f}")
    print(f"  together {hashing + many:.2f} s (limit {LIMIT_SECONDS:.0f} s), this process {peak:.0f} MiB")
    return 0 if quick or (hashing + many <= LIMIT_SECONDS and peak <= LIMIT_MIB) else 1


def _merge(connection: Connection, differences: int, *, ordinal: int) -> None:
    connection.execute(text(_DIFFERENCES.format(schema=SCHEMA)), {"rows": differences})
    merge_differences(
        connection, book="main", run_id="0" * 64, run_ordinal=ordinal, as_of=date(2026, 10, 31), schema=SCHEMA
    )


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


_TABLES = """
create schema {schema};
create unlogged table {schema}.fct_matches (
    leg text, provider text, account text, currency text, stage smallint, rule text, rule_version integer,
    is_equal boolean, id_kind text, ledger_key text, psp_key text, bank_key text, ledger_amount_minor numeric,
    psp_amount_minor numeric, bank_amount_minor numeric, psp_on date, bank_on date, ledger_count bigint,
    psp_count bigint
);
create unlogged table {schema}.fct_differences (
    difference_id text, leg text, provider text, account text, class text, priority text, status text, key text,
    keys text[], sign smallint, currency text, other_currency text, amount_minor numeric, ledger_amount_minor numeric,
    psp_amount_minor numeric, bank_amount_minor numeric, base_on date, grace_until date, opened_on date, rule text,
    rule_version integer, identity_keys jsonb, evidence jsonb
);
create table {schema}.break_classes (class text, closes_as text)
"""

_MATCHES = """
insert into {schema}.fct_matches
select
    'A', 'stripe', 'default', 'USD', 1, 'reference_equal', 1, true, 'balance_transaction', 'txn_' || n, 'txn_' || n,
    null, n % 10000, n % 10000, null, date '2026-10-01', null, 1, 1
from generate_series(1, :rows) as n
"""

_DIFFERENCES = """
insert into {schema}.fct_differences
select
    'A:' || n, 'A', 'stripe', 'default', 'missing_in_ledger', 'P1', 'break', 'txn_' || n, array['txn_' || n], 1, 'USD',
    'USD', -n, null, n, null, date '2026-10-01', date '2026-10-08', date '2026-10-09', 'reference_equal', 1,
    jsonb_build_array(
        jsonb_build_array('balance_transaction', 'txn_' || n, 'USD'), jsonb_build_array('charge', 'ch_' || n, 'USD')
    ),
    '[]'
from generate_series(1, :rows) as n
"""

_FORGET = """
truncate {schema}.fct_differences;
truncate recon.break_events, recon.break_keys, recon.breaks
"""

_ONE_TEXT = """
select encode(sha256(coalesce(string_agg(hashed.digest, ''::bytea order by hashed.digest), ''::bytea)), 'hex')
from (select sha256(convert_to(row({columns})::text, 'UTF8')) as digest from {schema}.fct_matches) as hashed
"""

if __name__ == "__main__":
    sys.exit(main())
