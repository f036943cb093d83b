"""Database and signing proxy that were both put back agree; the archive says what is missing: nothing is posted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.development import ALL_SCOPES, issue_development_token
from ledger_core.base.processes import ProcessGroup
from ledger_core.errors import DependencyError, LedgerBehind, SignerBehind
from ledger_core.evidence.anchor import anchor_checkpoints
from ledger_core.evidence.replay.replay import replay
from ledger_core.journal.entries import entry_as_json
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.integration.replay.conftest import BOOK, ME, Company, Fresh

pytestmark = pytest.mark.integration

Both = tuple[Company, Settings]


@pytest.fixture
def both(settings: Settings, fresh: Fresh, tmp_path: Path) -> Iterator[Both]:
    """The company of today, and settings of a copy of home and database from after three nights; its proxy runs."""
    with open_runtime(settings) as runtime:
        company = Company(runtime)
        company.live()
    group = ProcessGroup(settings.home / "run")
    group.stop("signing-proxy")
    old = tmp_path / "old"
    shutil.copytree(settings.home, old, ignore=shutil.ignore_patterns("run"))
    back = settings.model_copy(update={"home_path": old, "database_url": fresh(settings.database_url)})
    back.__dict__.pop("home", None)
    with open_runtime(settings) as runtime:
        company.runtime = runtime
        company.live_on()
        # The proxy of the copy starts while the archive of the copy is as old as itself.
        with open_runtime(back):
            pass
        yield company, back
    for name in (old, settings.home):
        for record in reversed(ProcessGroup(name / "run").records()):
            ProcessGroup(name / "run").stop(record.name)


def posted(company: Company, runtime: Runtime) -> int:
    return runtime.ledger(BOOK).append([company.entry()], Ask(actor=ME)).posted[0].seq


def bring(company: Company, back: Settings) -> None:
    """Let the archive of the copy be the archive of today."""
    # Nothing is written over: whoever is not root may not, for what is archived is read-only.
    shutil.rmtree(back.home / "archive")
    shutil.copytree(company.archive, back.home / "archive")


@pytest.mark.parametrize("what", ["segments", "anchors"])
def test_a_database_behind_its_archive_takes_nothing_and_says_what_to_do(both: Both, what: str) -> None:
    company, back = both
    if what == "anchors":
        shutil.rmtree(next(company.archive.rglob(f"{BOOK}/segments/*/*/*/0000000004-*")))
        assert anchor_checkpoints(company.runtime, {})
    bring(company, back)
    with open_runtime(back) as runtime:
        ledger = runtime.ledger(BOOK)
        assert isinstance(ledger.fault, LedgerBehind), "known before anybody asks"
        with pytest.raises(LedgerBehind, match="the archive holds a checkpoint over") as refused:
            posted(company, runtime)
        assert "counterfoil replay --continue" in str(refused.value.remedy)
        assert refused.value.context["size"] < refused.value.context["signed_size"]


def test_what_the_archive_holds_is_replayed_and_the_proxy_that_was_put_back_is_named_next(both: Both) -> None:
    company, back = both
    bring(company, back)
    with open_runtime(back) as runtime:
        (done,) = replay(runtime, back.home / "archive", proceed=True)
        assert done.records > 0
        with pytest.raises(SignerBehind, match=f"of which {done.size} are signed") as refused:
            posted(company, runtime)
        assert "docs/runbooks/signing-state.md" in str(refused.value.remedy)


def test_anchors_that_no_key_signed_stop_nobody(both: Both) -> None:
    company, back = both
    with open_runtime(back) as runtime:
        origin = back.origin_of(BOOK)
        folder = back.home / "archive" / origin / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{10**9:016d}").write_text(f"{origin}\n{10**9}\nAAAA\n\nnobody signed this\n")
        (folder / f"{10**9 + 1:016d}").write_bytes(next(company.archive.rglob("checkpoint")).read_bytes())
        assert posted(company, runtime)


def test_a_book_that_lies_in_the_archive_is_not_opened_anew(
    both: Both, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, back = both
    bring(company, back)
    with open_runtime(back.model_copy(update={"database_url": fresh()})) as runtime:
        with pytest.raises(LedgerBehind, match=r"a checkpoint over .* is signed"):
            runtime.ledger(BOOK)
        # A proxy that knows nothing of the log: its state is new, its keys are the old ones.
        monkeypatch.setattr(runtime.signer, "latest", lambda _origin: None)
        with pytest.raises(LedgerBehind, match="the archive holds a checkpoint over"):
            runtime.ledger(BOOK)


def test_an_archive_that_does_not_answer_keeps_posts_out_until_it_does(
    company: Company, settings: Settings, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ArchiveSettings(url="s3://nowhere/books", endpoint="http://127.0.0.1:9", retention_days=1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    with open_runtime(settings.model_copy(update={"archive": nowhere})) as runtime:
        assert runtime.ledger(BOOK).fault is None
        with pytest.raises(DependencyError):
            posted(company, runtime)
        monkeypatch.undo()
    with open_runtime(settings) as runtime:
        assert posted(company, runtime)


def test_over_http_a_post_is_refused_by_name_reads_go_on_and_the_probe_says_so(both: Both) -> None:
    company, back = both
    bring(company, back)
    token = issue_development_token(back, "tests", ALL_SCOPES, 3600)
    with open_runtime(back) as runtime, TestClient(create_app(back, runtime=runtime)) as http:
        http.headers["authorization"] = f"Bearer {token}"
        ready = http.get("/readyz")
        assert ready.status_code == 503
        missing = ready.json()["missing"]
        assert any("the archive holds a checkpoint over" in item["detail"] for item in missing), missing
        answer = http.post(
            "/finance/journal-entries", json=entry_as_json(company.entry()), headers={"idempotency-key": "one"}
        )
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (503, "ledger_behind"), answer.text
        assert "counterfoil replay --continue" in problem["remedy"]
        assert problem["size"] < problem["signed_size"]
        assert http.get("/finance/journal-entries").status_code == 200
        assert http.get("/livez").status_code == 200
        note = runtime.signer.latest(back.origin_of(BOOK))
        assert note is not None
        assert parse_checkpoint(parse_note(note).text).size == problem["size"], "nothing is signed meanwhile"
