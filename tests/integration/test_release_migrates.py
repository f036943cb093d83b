"""A release before this one: its populated database comes to today's schemas, and what it proved is still proven.

Each folder of `tests/fixtures/releases/` is one release, made by `make.py` there. No signing key is in it, so nothing
is posted to the restored book; what it closed is closed again in a new book, from the files that the release was given.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ingest.landing import file_keys
from ledger_core.base.embedded import EmbeddedPostgres, binary
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.base.objects.file import FileStore
from ledger_core.base.wrapping.file import FileWrapper
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.base.wrapping.port import Context, Wrapped
from ledger_core.book.kinds import Kinds
from ledger_core.evidence.check.checker import check_book
from ledger_core.log.verifier import verify_path
from ledger_core.reading.balances import trial_balance
from ledger_core.reading.heads import read_head
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration
RELEASES = Path(__file__).parents[1] / "fixtures" / "releases"
SOURCES = {"stripe_report": "stripe", "camt053": "bank"}


@dataclass(frozen=True, kw_only=True)
class Release:
    """What a release left, unpacked: its database on today's schemas, its archive and trust file, its input."""

    expected: dict[str, Any]
    engine: Engine
    applied: list[str]
    folder: Path

    @property
    def trust_path(self) -> Path:
        return self.folder / "trust.json"


@dataclass(frozen=True, kw_only=True)
class ProxyThen:
    """What the release's signing proxy said last; its keys are gone, so it can say nothing new."""

    release: Release
    asked: list[str] = field(default_factory=list)

    def latest(self, origin: str) -> str | None:
        self.asked.append(origin)
        return str(self.release.expected["checkpoint"]) if origin == self.release.expected["origin"] else None

    def keys(self) -> list[dict[str, Any]]:
        newest = sorted(self.release.folder.rglob("keys.jsonl"))[-1]
        return [json.loads(line) for line in newest.read_text().splitlines()]


@dataclass(frozen=True, kw_only=True)
class RuntimeThen:
    """As much of a runtime as a check needs."""

    settings: Settings
    engine: Engine
    signer: ProxyThen
    archive: FileStore
    trust_path: Path
    home: Path
    kinds: Kinds = field(default_factory=Kinds)


@pytest.fixture(scope="module", params=sorted(path.parent.name for path in RELEASES.glob("*/expected.json")))
def release(
    request: pytest.FixtureRequest, postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release, restored into an empty database of a server that has the roles, and migrated while it holds rows."""
    embedded, port = postgres
    packed, folder = RELEASES / request.param, tmp_path_factory.mktemp("release")
    for name in ("archive", "input"):
        with tarfile.open(packed / f"{name}.tar.gz") as tar:
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4 on
            tar.extractall(folder if name == "archive" else folder / "input", **safely)
    name = f"release_{os.getpid()}"
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template template0"))
    _restore(embedded.url(port, name), gzip.decompress((packed / "database.sql.gz").read_bytes()))
    engine = make_engine(embedded.url(port, name), role="login")
    applied = migrate(engine)
    yield Release(
        expected=json.loads((packed / "expected.json").read_text()), engine=engine, applied=applied, folder=folder
    )
    engine.dispose()
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


def test_the_populated_database_stands_at_the_heads_of_today(release: Release) -> None:
    assert migrate(release.engine) == []
    with release.engine.connect() as connection:
        versions = set(connection.execute(text("select version_num from migrations.version")).scalars())
        entries = connection.execute(text("select count(*) from ledger.posted_entries")).scalar_one()
    assert set(release.applied) <= versions
    assert entries == release.expected["entries"] > 100


def test_head_and_trial_balance_are_what_the_release_said(release: Release) -> None:
    expected = release.expected
    with release.engine.connect() as connection:
        head = read_head(connection, expected["book"])
        found = trial_balance(connection, expected["book"])
    assert (head.size, head.signed_size) == (expected["size"], expected["signed_size"])
    totals = {
        name: {"debits": str(debits), "credits": str(credits)} for name, (debits, credits) in found.totals.items()
    }
    assert totals == expected["trial_balance"]


def test_every_projection_still_equals_the_signed_log(release: Release) -> None:
    proxy = ProxyThen(release=release)
    then = RuntimeThen(
        settings=Settings(home_path=release.folder, env="test"),
        engine=release.engine,
        signer=proxy,
        archive=FileStore(release.folder / "archive"),
        trust_path=release.trust_path,
        home=release.folder,
    )
    report = check_book(then, release.expected["book"])  # type: ignore[arg-type]
    assert report.sound, report.as_lines()
    assert proxy.asked == [release.expected["origin"]] * 2
    assert report.size == release.expected["size"]
    assert report.counts["segments"] == 2
    assert report.counts["entries"] == release.expected["entries"]


def test_the_archive_verifies_with_the_trust_file_of_the_release(release: Release) -> None:
    report = verify_path(release.folder / "archive", release.trust_path)
    assert (report.verdict, report.exit_status) == ("verified", 0), report.as_lines()
    assert len(list((release.folder / "archive").rglob("manifest*"))) >= 2


def test_the_open_breaks_are_there_under_their_ids(release: Release) -> None:
    with release.engine.connect() as connection:
        found = connection.execute(text("select break_id from recon.breaks where status = 'open' order by break_id"))
        assert list(found.scalars()) == release.expected["open_breaks"]
        runs = connection.execute(text("select run_id, verdict from recon.runs order by ordinal")).all()
    assert [tuple(run) for run in runs] == [(run["run_id"], run["verdict"]) for run in release.expected["runs"]]


def test_the_same_files_closed_by_todays_code_give_the_same_output(
    release: Release, home: Path, database_url: str
) -> None:
    """By the commands, as the release did it: the verdict and every open break, which its id names.

    The id of a run and the hashes of its output name the code and the form of the rows it writes: these may differ.
    """
    files = release.folder / "input"

    def run(*arguments: str) -> Any:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "DATABASE_"))}
        finished = subprocess.run(
            [str(Path(sys.executable).with_name("counterfoil")), *arguments, "--json"],
            env=kept | {"COUNTERFOIL_HOME": str(home), "COUNTERFOIL_ENV": "test", "DATABASE_URL": database_url},
            cwd=files, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert finished.returncode in (0, 1), finished.stdout + finished.stderr
        return json.loads(finished.stdout)

    run("accounts", "apply", "accounts.yaml")
    for source, folder in SOURCES.items():
        run("ingest", source, folder)
    (files / "entries.jsonl").write_text("".join(part.read_text() for part in sorted(files.glob("entries-*.jsonl"))))
    run("post", "entries.jsonl")
    # The last day alone, which holds all of them: a day costs half a minute on a busy machine.
    closed = release.expected["runs"][-1]
    found = run("reconcile", "--to", closed["as_of"])
    assert (found["verdict"], found["breaks"]) == (closed["verdict"], closed["breaks"])
    breaks = run("breaks", "list")
    assert sorted(each["break_id"] for each in breaks) == release.expected["open_breaks"]


def test_its_keys_of_files_which_lie_in_plain_are_wrapped_and_open_the_same(release: Release, tmp_path: Path) -> None:
    """By the first landing, which may be killed in the middle; nothing of the release's own rows is lost."""

    class Killed(FileWrapper):
        wraps = 0

        def wrap(self, key: bytes, context: Context) -> Wrapped:
            self.wraps += 1
            if self.wraps == 3:
                raise KeyboardInterrupt
            return super().wrap(key, context)

    def keys() -> dict[Any, bytes | None]:
        with release.engine.connect() as connection:
            return {row.file_id: row.key for row in connection.execute(text("select * from ops.file_keys"))}

    plain = keys()
    assert len(plain) > 3
    assert all(plain.values()), "another test wrapped them"
    settings = Settings(home_path=tmp_path, env="test")
    wrapper = Killed(tmp_path / "wrapping")
    then = SimpleNamespace(
        settings=settings,
        engine=release.engine,
        wrapping=KeyWrapping("file", lambda _: wrapper),
        withheld=lambda book: None,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_keys, "BATCH_KEYS", 2)
        with pytest.raises(KeyboardInterrupt):
            file_keys.wrap_plain(then)
    assert sum(key is None for key in keys().values()) == 2
    assert file_keys.wrap_plain(then) == len(plain) - 2
    assert set(keys().values()) == {None}
    assert {file_id: file_keys.open_key(then, file_id) for file_id in plain} == plain


def _restore(url: str, dump: bytes) -> None:
    address = url.replace("postgresql+psycopg://", "postgresql://")
    finished = subprocess.run(
        [str(binary("psql")), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", address],
        input=dump, capture_output=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr.decode()[-2000:]
