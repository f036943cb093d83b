"""A reconciliation run, from pin to record: the one way to match, used by the command line, the pipeline and the API.

Order: pin, build everything up to differences, merge into the breaks, build what reads the breaks, append the manifest
to the log. Each step can be repeated: a run that was killed anywhere is finished by the same command, and a run whose
input equals that of the last one is that run and appends nothing. A run whose input equals that of an earlier one,
because a setting was changed and changed back, is that run again: it is merged anew, since the breaks are by now those
of the run between, and recorded anew, since the log should say which run they last followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

from ledger_core.actor import Actor
from ledger_core.base.locks import hold_lock
from ledger_core.errors import DependencyError
from ledger_core.ports import Ask, RecordDraft
from ledger_core.settings import Settings
from reconciliation.breaks.merge import MergeCounts, merge_differences
from reconciliation.runs.code_version import code_version
from reconciliation.runs.dbt_runner import AFTER_MERGE, LASTING, Dbt, NodeResult
from reconciliation.runs.findings import Findings, read_findings, read_rules
from reconciliation.runs.manifest import build_manifest, manifest_sha256
from reconciliation.runs.output_hashes import output_hashes
from reconciliation.runs.pins import TARGET_SCHEMA, Pin, is_built, mark_built, staging_stands, store_pin, take_pin
from reconciliation.runs.touched import TouchedDays, touched_days

if TYPE_CHECKING:
    from ledger_core.ports import LedgerPort

RUN_LOCK = 0x7265636F6E  # "recon"
LOCK_WAIT_SECONDS = 900.0
RECORD_KIND = "reconciliation_run"

Progress = Callable[[str], None]


class RunRuntime(Protocol):
    """What a run needs of `ledger_core.runtime.Runtime`."""

    settings: Settings
    engine: Engine
    database_url: str
    clock: Callable[[], datetime]

    @property
    def home(self) -> Path: ...
    def ledger(self, book: str | None = None) -> LedgerPort: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found. `created` is False when the last run had the same input: then nothing was appended.

    `ordinal` grows with every merge; a run that is merged again gets a new one.
    """

    run_id: str
    ordinal: int
    created: bool
    book: str
    as_of: date
    verdict: str
    counts: Mapping[str, Any]
    reasons: tuple[Mapping[str, str], ...]
    manifest: Mapping[str, Any]
    record_seq: int | None
    merged: bool
    touched: TouchedDays | None = None
    nodes: tuple[NodeResult, ...] = field(default=(), repr=False)

    @property
    def match_rate(self) -> str:
        """Return the share of items that matched and agree, as a decimal between 0 and 1, rounded down."""
        return str(self.counts["match_rate"])

    @property
    def breaks_by_class(self) -> Mapping[str, int]:
        return dict(self.counts["breaks_by_class"])

    @property
    def pending(self) -> int:
        return int(self.counts["pending"])

    def as_json(self) -> dict[str, Any]:
        """Return what `reconcile --json` prints."""
        return {
            "run_id": self.run_id,
            "created": self.created,
            "book": self.book,
            "as_of": self.as_of.isoformat(),
            "verdict": self.verdict,
            "match_rate": self.match_rate,
            "breaks": sum(self.breaks_by_class.values()),
            "breaks_by_class": dict(self.breaks_by_class),
            "pending": self.pending,
            "counts": dict(self.counts),
            "reasons": [dict(reason) for reason in self.reasons],
            "record_seq": self.record_seq,
            "merged": self.merged,
            "outputs": dict(self.manifest["outputs"]),
            "touched": self.touched.as_json() if self.touched else None,
        }

    def _waiting(self) -> str:
        awaited = self.counts.get("pending_by_reason", {}).get("awaiting_report", 0)
        return f" ({awaited} of them await a report)" if awaited else ""

    def as_lines(self) -> list[str]:
        """Return what `reconcile` says to people."""
        known = "" if self.created else " (the same input as before: nothing was appended)"
        lines = [
            f"{self.verdict} as of {self.as_of}{known}",
            f"run {self.run_id[:12]}, match rate {self.match_rate}, {self.counts['matched']} matched,"
            f" {self.pending} pending{self._waiting()}, {sum(self.breaks_by_class.values())} breaks",
        ]
        lines += [f"  {name:24} {count:>8}" for name, count in sorted(self.breaks_by_class.items())]
        lines += [f"  {reason['kind']}: {reason['subject']}: {reason['detail']}" for reason in self.reasons[:20]]
        if len(self.reasons) > 20:
            lines.append(f"  and {len(self.reasons) - 20} more reasons")
        if self.touched:
            lines.append(str(self.touched))
        if not self.merged:
            lines.append("an older day than the last run: the open breaks were left alone")
        return lines


def reconcile(
    runtime: RunRuntime, *, to: date | None = None, book: str | None = None, progress: Progress | None = None
) -> RunResult:
    """Match everything that is inside the pin and bring the breaks up to date.

    Raises `InvalidInput` when there is nothing to reconcile, `IntegrityError` when an invariant of the marts fails,
    `DependencyError` while another run holds the marts or when the log cannot take the record.
    """
    say = progress or _silent
    name = book or runtime.settings.book
    with _one_run(runtime.engine):
        pin = take_pin(
            runtime.engine,
            runtime.settings,
            book=name,
            to=to,
            today=runtime.clock().date(),
            code_version=code_version(),
            home=runtime.home,
        )
        dbt = Dbt(home=runtime.home, database_url=runtime.database_url, schema=TARGET_SCHEMA)
        with runtime.engine.connect() as connection:
            standing = _standing(connection, pin)
            fresh = standing is not None and is_built(connection, pin.run_id)
            lasting = LASTING if staging_stands(connection, pin.code_version) else ()
        nodes: list[NodeResult] = []
        if not fresh:
            with runtime.engine.begin() as connection:
                store_pin(connection, pin)
            say(f"matching as of {pin.as_of}")
            nodes += dbt.build(exclude=(AFTER_MERGE, *lasting))
        if standing is None:
            say("merging the breaks")
            with runtime.engine.begin() as connection:
                _store_run(connection, pin, runtime.clock())
        if not fresh:
            say("writing the statement")
            nodes += dbt.build(select=(AFTER_MERGE,))
            with runtime.engine.begin() as connection:
                mark_built(connection, pin.run_id)
        result = _recorded(runtime, pin.run_id)
        with runtime.engine.connect() as connection:
            touched = touched_days(connection, name, pin.run_id)
    return replace(result, created=standing is None or standing.record_seq is None, touched=touched, nodes=tuple(nodes))


def find_run(connection: Connection, run_id: str) -> RunResult | None:
    """Return the run called `run_id`, or None."""
    row = connection.execute(text(f"{_RUNS} where run_id = :run_id"), {"run_id": run_id}).mappings().one_or_none()
    return _result(row) if row else None


def latest_run(connection: Connection, book: str) -> RunResult | None:
    """Return the run of `book` that was made last, or None."""
    row = (
        connection.execute(text(f"{_RUNS} where book = :book order by ordinal desc limit 1"), {"book": book})
        .mappings()
        .one_or_none()
    )
    return _result(row) if row else None


def _standing(connection: Connection, pin: Pin) -> RunResult | None:
    """Return the run of the same input, unless the breaks are by now those of another run of its day."""
    run = find_run(connection, pin.run_id)
    if run is None or not run.merged or pin.as_of < _last_merged_day(connection, pin):
        return run
    parameters = {"book": pin.book, "ordinal": run.ordinal}
    overtaken = connection.execute(
        text("select exists (select 1 from recon.runs where book = :book and merged and ordinal > :ordinal)"),
        parameters,
    ).scalar()
    return None if overtaken else run


def _store_run(connection: Connection, pin: Pin, now: datetime) -> None:
    findings = read_findings(connection, TARGET_SCHEMA)
    merged = pin.as_of >= _last_merged_day(connection, pin)
    ordinal: int = connection.execute(text("select nextval('recon.run_ordinals')")).scalar_one()
    changes: MergeCounts | None = None
    if merged:
        changes = merge_differences(
            connection,
            book=pin.book,
            run_id=pin.run_id,
            run_ordinal=ordinal,
            as_of=pin.as_of,
            schema=TARGET_SCHEMA,
        )
    counts = findings.as_counts() | ({"merge": changes.as_manifest()} if changes else {})
    manifest = build_manifest(
        pin,
        verdict=findings.verdict,
        merged=merged,
        counts=counts,
        rules=read_rules(connection, TARGET_SCHEMA),
        outputs=output_hashes(connection, TARGET_SCHEMA),
    )
    insert_run(connection, pin, findings, manifest, merged=merged, ordinal=ordinal, now=now)


def _last_merged_day(connection: Connection, pin: Pin) -> date:
    found = connection.execute(
        text("select max(as_of) from recon.runs where book = :book and merged"), {"book": pin.book}
    ).scalar()
    return found or pin.as_of


def insert_run(
    connection: Connection,
    pin: Pin,
    findings: Findings,
    manifest: dict[str, Any],
    *,
    merged: bool,
    ordinal: int,
    now: datetime,
    target_schema: str = TARGET_SCHEMA,
) -> None:
    """Write the run's row; of one that is merged again only what the merge decides has changed."""
    connection.execute(
        text(
            "insert into recon.runs (run_id, book, as_of, signed_size, code_version, verdict, merged, counts, reasons,"
            " manifest, manifest_sha256, ordinal, created_at) values (:run_id, :book, :as_of, :signed_size,"
            " :code_version, :verdict, :merged, cast(:counts as jsonb), cast(:reasons as jsonb),"
            " cast(:manifest as jsonb), :manifest_sha256, :ordinal, :now)"
            " on conflict (run_id) do update set merged = excluded.merged, counts = excluded.counts,"
            " manifest = excluded.manifest, manifest_sha256 = excluded.manifest_sha256, ordinal = excluded.ordinal,"
            " signed_size = excluded.signed_size, created_at = excluded.created_at, record_seq = null"
        ),
        {
            "run_id": pin.run_id,
            "book": pin.book,
            "as_of": pin.as_of,
            "signed_size": pin.signed_size,
            "code_version": pin.code_version,
            "verdict": findings.verdict,
            "merged": merged,
            "counts": orjson.dumps(manifest["counts"]).decode(),
            "reasons": orjson.dumps(findings.reasons).decode(),
            "manifest": orjson.dumps(manifest).decode(),
            "manifest_sha256": manifest_sha256(manifest),
            "ordinal": ordinal,
            "now": now,
        },
    )
    connection.execute(
        text(
            "insert into recon.run_files (run_id, file_id)"
            " select :run_id, file_id from recon.pin_files where target_schema = :schema on conflict do nothing"
        ),
        {"run_id": pin.run_id, "schema": target_schema},
    )
    connection.execute(
        text(_RATES.format(schema=target_schema)),
        {"run_id": pin.run_id},
    )


def _recorded(runtime: RunRuntime, run_id: str) -> RunResult:
    """Return the run, with its record in the log: appended now if it is not there yet."""
    with runtime.engine.connect() as connection:
        run = find_run(connection, run_id)
    assert run is not None
    if run.record_seq is not None:
        return run
    actor = Actor(subject=runtime.settings.actor)
    # The key makes a repetition after a crash find the record that is there.
    ask = Ask(actor=actor, key=f"{RECORD_KIND}:{run_id}:{run.ordinal}")
    draft = RecordDraft(kind=RECORD_KIND, body={"manifest": dict(run.manifest)})
    posted = runtime.ledger(run.book).append([draft], ask, atomic=True).only
    with runtime.engine.begin() as connection:
        connection.execute(
            text("update recon.runs set record_seq = :seq where run_id = :run_id"),
            {"seq": posted.seq, "run_id": run_id},
        )
    return replace(run, record_seq=posted.seq)


def _result(row: RowMapping) -> RunResult:
    return RunResult(
        run_id=row["run_id"],
        ordinal=row["ordinal"],
        created=False,
        book=row["book"],
        as_of=row["as_of"],
        verdict=row["verdict"],
        counts=row["counts"],
        reasons=tuple(row["reasons"]),
        manifest=row["manifest"],
        record_seq=row["record_seq"],
        merged=row["merged"],
    )


def _one_run(engine: Engine) -> AbstractContextManager[None]:
    """Hold the marts: they are one set of tables, whichever process or book builds them."""
    return hold_lock(engine, RUN_LOCK, wait_seconds=LOCK_WAIT_SECONDS, busy=_busy)


def _busy() -> DependencyError:
    return DependencyError("another reconciliation run is going on.", remedy="Wait for it.", retry_after_seconds=30)


def _silent(_state: str) -> None:
    return None


_RUNS = "select run_id, book, as_of, verdict, counts, reasons, manifest, record_seq, merged, ordinal from recon.runs"

_RATES = """
insert into recon.run_rates (run_id, leg, provider, account, currency, matched, pending, breaks)
select :run_id, leg, provider, account, currency, matched, pending, breaks from {schema}.fct_match_rates
on conflict do nothing
"""
