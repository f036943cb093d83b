"""How fast a run matches: all stages on a million ledger and a million PSP items, beside datacompy in the same run.

The rows are made in SQL, straight into the ledger's and the raw tables: 1 % missing on either side, 0.5 % unequal
amounts, 4 % without a provider's id, 0.2 % duplicates, references of three kinds. datacompy on pandas does the
reference compare alone, on frames that are in memory already; ours reads tables, does all stages and writes tables.

    python -m bench.reconciliation [--items N] [--rounds R] [--quick]
"""

from __future__ import annotations

import argparse
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psycopg

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from reconciliation.runs.dbt_runner import AFTER_MERGE, Dbt, NodeResult

LIMIT_SECONDS = 30.0
MATCHING = (
    "int_match_groups", "int_match_duplicates", "int_match_edges", "int_match_equal", "int_match_left",
    "int_match_shared", "int_match_unequal", "int_match_window", "int_matched_items", "int_transfers",
    "int_payout_references", "int_bank_candidates", "int_bank_groups", "int_bank_pairs", "int_bank_window",
    "int_bank_matches", "int_bank_unmatched", "int_bank_members", "int_bank_line_keys", "int_ledger_unmatched",
    "int_psp_unmatched", "int_match_ambiguous", "int_psp_differing", "int_psp_difference_keys", "int_item_differences",
    "int_payout_differences", "fct_matches", "fct_differences",
)  # fmt: skip


def main() -> int:
    """Run the benchmark; exit 1 when a limit is missed at full size."""
    options = _options()
    items = 50_000 if options.quick else options.items
    rounds = 1 if options.quick else options.rounds
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    embedded = EmbeddedPostgres(folder=folder / "postgres")
    process, port = embedded.start()
    try:
        url = embedded.url(port, "postgres")
        _prepare(url, items)
        return _measure(folder, url, items, rounds, quick=options.quick)
    finally:
        process.send_signal(2)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, url: str, items: int, rounds: int, *, quick: bool) -> int:
    dbt = Dbt(home=folder, database_url=url)
    dbt.run(select=("stg_recon__pin",))  # parse and warm up outside the clock
    walls, stage_walls, baseline, nodes = [], [], [], []
    for _ in range(rounds):
        started = time.perf_counter()
        nodes = dbt.build(exclude=(AFTER_MERGE,))
        walls.append(time.perf_counter() - started)
        started = time.perf_counter()
        dbt.run(select=MATCHING)
        stage_walls.append(time.perf_counter() - started)
        baseline.append(_datacompy(url))
    wall, stages, rival = (statistics.median(values) for values in (walls, stage_walls, baseline))
    print(f"python {platform.python_version()}, {items:,} ledger items x {items:,} PSP items, median of {rounds}")
    print(f"  matching: all stages, matches and differences {stages:8.2f} s  (limit {LIMIT_SECONDS:.0f} s at 1 M)")
    print(f"  whole build: staging to marts, with tests     {wall:8.2f} s")
    print(f"  datacompy on pandas, reference compare alone  {rival:8.2f} s")
    print(f"  ratio datacompy / matching {rival / stages:6.2f}   datacompy / whole build {rival / wall:6.2f}")
    print(f"  peak memory of this process after datacompy {_peak_mib():.0f} MiB")
    _profile(nodes)
    _answer(url)
    return 0 if quick or (stages <= LIMIT_SECONDS and stages < rival) else 1


def _profile(nodes: list[NodeResult]) -> None:
    by_kind: dict[str, float] = defaultdict(float)
    for node in nodes:
        by_kind[node.kind] += node.seconds
    print("  seconds by kind: " + ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in sorted(by_kind.items())))
    for node in sorted(nodes, key=lambda node: -node.seconds)[:14]:
        print(f"    {node.seconds:7.2f} s  {node.kind:6} {node.name}  {node.rows if node.rows is not None else ''}")


def _answer(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        stages = connection.execute(
            "select leg || stage, count(*) from analytics.fct_matches group by 1 order by 1"
        ).fetchall()
        classes = connection.execute(
            "select class || ' ' || status, count(*) from analytics.fct_differences group by 1 order by 1"
        ).fetchall()
    print("  matches by stage: " + ", ".join(f"{name} {count:,}" for name, count in stages))
    print("  differences: " + ", ".join(f"{name} {count:,}" for name, count in classes))


def _datacompy(url: str) -> float:
    import datacompy
    import pandas as pd

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        frames = [
            pd.DataFrame(connection.execute(query).fetchall(), columns=["reference", "currency", "gross", "fee", "net"])
            for query in (_LEDGER_FRAME, _PSP_FRAME)
        ]
    started = time.perf_counter()
    compare = datacompy.PandasCompare(
        frames[0], frames[1], join_columns=["reference", "currency"], df1_name="ledger", df2_name="psp"
    )
    compare.matches()
    seconds = time.perf_counter() - started
    print(f"  datacompy {datacompy.__version__}, pandas {pd.__version__}: {len(compare.intersect_rows):,} joined")
    return seconds


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _prepare(url: str, items: int) -> None:
    engine = make_engine(url, role="login")
    migrate(engine)
    engine.dispose()
    started = time.perf_counter()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # the rows are ours: no trigger need look
        for statement in _ROWS.split(";\n"):
            if statement.strip():
                connection.execute(statement.replace("%(items)s", str(items)))
    print(f"rows made in {time.perf_counter() - started:.1f} s", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="50,000 items, once: does it run at all")
    return parser.parse_args()


# What a company that always used the balance transaction's id would hand to datacompy.
_LEDGER_FRAME = """
select coalesce(psp.psp_transaction_id, ledger.reference), ledger.currency,
    ledger.gross_minor::bigint, ledger.fee_minor::bigint, ledger.net_minor::bigint
from analytics.int_ledger_items as ledger
left join analytics.int_matched_items as matched using (ledger_item_id)
left join analytics.int_psp_items as psp on psp.psp_item_id = matched.psp_item_id
"""
_PSP_FRAME = """
select psp_transaction_id, currency, gross_minor::bigint, fee_minor::bigint, net_minor::bigint
from analytics.int_psp_items
"""

# One item is a row of `seed`: its amount and day, whether either side lacks it, how the ledger names it.
_ROWS = """
create table public.seed as
select
    n,
    'txn_' || md5('t' || n) as txn,
    'ch_' || md5('c' || n) as charge,
    'pi_' || md5('p' || n) as intent,
    case when n % 3 = 0 then 'EUR' else 'USD' end as currency,
    500 + ('x' || substr(md5('a' || n), 1, 7))::bit(28)::bigint % 200000 as gross,
    30 + ('x' || substr(md5('f' || n), 1, 7))::bit(28)::bigint % 400 as fee,
    date '2026-10-01' + (n % 30)::integer as day,
    n % 100 = 1 as not_in_ledger,
    n % 100 = 2 as not_at_psp,
    n % 200 = 3 as is_unequal,
    n % 25 = 4 as is_keyless,
    n % 500 = 5 as is_double,
    n % 20 as kind
from generate_series(1, %(items)s) as n;
insert into ledger.log_head (book, origin, size, signed_size, last_leaf, frontier)
select 'main', 'bench/test/main', 2 * %(items)s + 1000, 2 * %(items)s + 1000, sha256('a'), ''::bytea;
insert into ledger.account_versions
    (book, seq, account_id, code, type, normal_balance, currency, status, overdraft, metadata)
select 'main', 0, number, code || lower(currency), type, 'debit', currency, 'open', 'allowed', metadata::jsonb
from (
    values
    (1, 'assets:psp:stripe:clearing:', 'asset', 'USD', '{"source": "stripe", "role": "clearing"}'),
    (2, 'expenses:processing-fees:', 'expense', 'USD', '{"source": "stripe", "role": "fees"}'),
    (3, 'revenue:sales:', 'revenue', 'USD', '{}'),
    (4, 'assets:psp:stripe:clearing:', 'asset', 'EUR', '{"source": "stripe", "role": "clearing"}'),
    (5, 'expenses:processing-fees:', 'expense', 'EUR', '{"source": "stripe", "role": "fees"}'),
    (6, 'revenue:sales:', 'revenue', 'EUR', '{}')
) as accounts (number, code, type, currency, metadata);
create table public.booked as
select
    row_number() over (order by n, again) as seq,
    n, again, txn, charge, intent, currency, gross + case when is_unequal then 7 else 0 end as gross, fee, day,
    is_keyless, kind
from public.seed
cross join lateral generate_series(0, case when is_double then 1 else 0 end) as again
where not not_in_ledger;
insert into ledger.records (book, seq, kind, recorded_at, leaf_hash, canonical)
select 'main', seq, 'journal_entry', day + interval '9 hours', sha256(seq::text::bytea),
    convert_to(repeat('x', 640), 'UTF8')
from public.booked;
insert into ledger.entries (book, seq, id, external_id, effective_at, description, metadata)
select 'main', seq, gen_random_uuid(),
    case when is_keyless then 'shop:order-' || n else 'stripe:' || seq end,
    (day + interval '9 hours') at time zone 'UTC', 'sale',
    case when is_keyless then '{}'::jsonb
         else jsonb_build_object(
             'reference', case when kind < 13 then txn when kind < 17 then charge else intent end, 'order', 'o-' || n
         )
    end
from public.booked;
insert into ledger.postings (book, seq, line, account_id, direction, amount_minor, currency, effective_at)
select 'main', seq, line, account + case currency when 'EUR' then 3 else 0 end, direction, amount, currency,
    (day + interval '9 hours') at time zone 'UTC'
from public.booked
cross join lateral (
    values (0, 1, 'debit', gross - fee), (1, 2, 'debit', fee), (2, 3, 'credit', gross)
) as lines (line, account, direction, amount);
insert into raw.canonical_events values ('stripe_report', 'charge', 'charge');
insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes, object_name,
    received_at, record_type, first_on, last_on, parser_version, status, rows_read, rows_accepted, rows_quarantined)
select gen_random_uuid(), 'main', 'stripe_report', 'stripe', 'default', 'items.csv', repeat('0', 64), repeat('0', 64),
    1, 'x', now(),
    'payout_reconciliation', date '2026-10-01', date '2026-10-31', 1, 'landed', %(items)s, %(items)s, 0;
insert into raw.stripe_report_payout_reconciliation
    (file_id, ordinal, row_sha256, automatic_payout_id, balance_transaction_id, created_utc, currency, gross, fee, net,
     reporting_category, source_id, charge_id, payment_intent_id, description, extra)
select files.file_id, row_number() over (order by txn), sha256(txn::bytea), 'po_' || day || currency, txn,
    (day + n % 2) || ' 08:00:00', lower(currency), round(gross / 100.0, 2)::text, round(fee / 100.0, 2)::text,
    round((gross - fee) / 100.0, 2)::text, 'charge', charge, charge, intent, 'Payment for order',
    '{"payment_metadata[shop]": "main"}'
from public.seed
cross join raw.files
where not not_at_psp;
insert into recon.pins (target_schema, run_id, book, as_of, signed_size, grace_business_days, provider_account)
select 'analytics', repeat('0', 64), 'main', date '2026-11-20', 2 * %(items)s + 1000, 5, 'default';
insert into recon.pin_files (target_schema, file_id, file_no) select 'analytics', file_id, 1 from raw.files;
drop table public.booked;
drop table public.seed;
vacuum analyze ledger.records, ledger.entries, ledger.postings, ledger.account_versions,
    raw.stripe_report_payout_reconciliation
"""


if __name__ == "__main__":
    raise SystemExit(main())
