"""A file lands whole or not at all: wrong, cut, unreadable, changed, killed half way, landed twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from ledger_core.errors import InvalidInput

pytestmark = pytest.mark.integration


def test_a_cut_file_leaves_nothing_behind_and_the_others_land(landing, tmp_path):
    whole = landing.report(tmp_path / "whole.csv", rows=5_000)
    cut = tmp_path / "cut.csv"
    cut.write_bytes(whole.read_bytes()[:-30])
    rejected, landed = landing.land(cut, landing.report(tmp_path / "other.csv"))
    assert (rejected.status, rejected.error.line) == ("rejected", 5_001)
    assert str(rejected.error).startswith("cut.csv:5001: the file ends in the middle of a row")
    assert landed.status == "landed"
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 3
    [noted] = landing.rows("select * from ops.rejected_files")
    assert (noted["name"], noted["code"], noted["line"]) == ("cut.csv", "invalid_input", 5_001)
    assert len(list(landing.raw_store.list())) == 1


MEMORY = Path("/proc/self/mem")
"""A regular file whose first byte cannot be read."""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Path("gone.csv"), "No such file"),
        pytest.param(MEMORY, "error", marks=pytest.mark.skipif(not MEMORY.exists(), reason="needs Linux' /proc")),
    ],
    ids=["dangling link", "failing disk"],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_land(landing, tmp_path, target, said):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").symlink_to(target)
    os.mkfifo(folder / "b.csv")
    (folder / "c.csv").mkdir()
    landing.report(folder / "d.csv")
    rejected, landed = landing.land(folder)
    assert (rejected.name, rejected.status, landed.name, landed.status) == ("a.csv", "rejected", "d.csv", "landed")
    assert said in rejected.error.message
    assert rejected.error.remedy
    assert landing.rows("select name from ops.rejected_files") == [{"name": "a.csv"}]
    for strange in ("b.csv", "c.csv/none.csv"):
        with pytest.raises(InvalidInput):
            landing.land(folder / strange)


@pytest.mark.parametrize(
    ("source", "data", "said"),
    [
        ("stripe_report", b"", "the file is empty"),
        ("stripe_report", b"xml", "looks like XML"),
        ("camt053", b"csv", "looks like CSV"),
        ("stripe_report", b"\x1f\x8b" + b"x" * 100, "does not unfold"),
        ("stripe_report", b"BZh9" + b"x" * 100, "compressed (bzip2)"),
        ("camt053", b"half", "stops being XML"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(landing, tmp_path, source, data, said):
    path = tmp_path / "wrong"
    statement = landing.statement(closing="125.00", narrative="rent").encode()
    files = {b"xml": statement, b"half": statement[:-100], b"csv": landing.header.encode()}
    path.write_bytes(files.get(data, data))
    [file] = landing.land(path, source=source)
    assert file.status == "rejected"
    assert said in file.error.message
    assert file.error.remedy
    assert set(landing.counts().values()) == {0}


def test_a_missing_path_and_an_unknown_source_stop_before_anything_lands(landing, tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        landing.land(landing.report(tmp_path / "r.csv"), tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="Use one of"):
        landing.land(tmp_path / "r.csv", source="nobody")
    assert set(landing.counts().values()) == {0}


def test_of_many_landing_the_same_bytes_at_once_one_does(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv", rows=20_000)
    statuses: list[str] = []
    workers = [threading.Thread(target=lambda: statuses.append(landing.land(path)[0].status)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(statuses) == ["already_landed", "already_landed", "already_landed", "landed"]
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 20_000


def test_a_landing_killed_half_way_leaves_nothing_and_is_run_again(landing, database_url, tmp_path):
    path = landing.report(tmp_path / "r.csv", rows=100_000)
    script = textwrap.dedent("""
        import sys, pathlib, types, datetime
        from ingest.landing import land as landing
        from ledger_core.settings import Settings
        from ledger_core.base.engine import make_engine
        from ledger_core.base.objects.file import FileStore
        from ledger_core.wrapping import open_wrapping
        url, folder = sys.argv[1], pathlib.Path(sys.argv[2])
        settings = Settings(home_path=folder / "home")
        runtime = types.SimpleNamespace(
            settings=settings, wrapping=open_wrapping(settings),
            engine=make_engine(url), raw_store=FileStore(folder / "raw"),
            clock=lambda: datetime.datetime.now(datetime.UTC))
        def report(name, done, total):
            print(done, flush=True)
        landing.land(runtime, source="stripe_report", paths=[folder / "r.csv"], progress=report)
    """)
    command = [sys.executable, "-c", script, database_url, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    for _ in range(20):
        assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert set(landing.counts().values()) == {0}
    # The server notices the dead client when it next reads from it, and lets go of the lock.
    deadline = time.monotonic() + 30
    [file] = landing.land(path)
    assert time.monotonic() < deadline
    assert (file.status, file.accepted) == ("landed", 100_000)
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 100_000


@pytest.mark.parametrize("line", ["po_1,txn_x,2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,late\n", ""])
def test_a_file_that_changes_while_it_is_read_is_refused(landing, tmp_path, line):
    path = landing.report(tmp_path / "r.csv", rows=5_000)

    def change(*_: object) -> None:
        text_now = path.read_text()
        with path.open("r+") as sink:
            sink.write(text_now.replace("txn_1,", "txn_!,") + line)

    [file] = landing.land(path, progress=change)
    assert file.status == "rejected"
    assert "changed while it was being read" in file.error.message
    assert set(landing.counts().values()) == {0}
