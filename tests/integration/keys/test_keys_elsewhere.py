"""Keys of a proxy on another host: its first registry and every change, by the commands of the two runbooks.

The proxy is a process behind mutual TLS with a folder of its own; its roots are in files of three holders. What the
pages say is done in their order: what an operator copies is what is tried.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core.actor import Actor
from ledger_core.ceremony import host
from ledger_core.ceremony.carried import read_proofs
from ledger_core.ceremony.drafts import RootChange, Wish
from ledger_core.ceremony.offline import make_root, sign_file
from ledger_core.ceremony.run import change_now, install_files, listing, make_draft_files, record_change
from ledger_core.ceremony.tell import lines_of
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, IntegrityError, InvalidInput
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE, parse_envelope
from ledger_core.log.note import parse_note
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.services import SIGNING_PROXY, process_group
from ledger_core.settings import Settings
from ledger_core.settings.rooms import SigningSettings
from tests.integration.keys.test_keys_runbooks import commands
from tests.integration.signing_tls.conftest import FOLDER, Proxy, uri

pytestmark = pytest.mark.integration
LEDGER, ME = "spiffe://example.com/ledger", Actor(subject="keeper")
HOLDERS = ("anna", "bo", "cy")


class Site:
    """The ledger's host, the proxy's, and the desk on which files are carried."""

    def __init__(self, settings: Settings, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = desk.parent / "proxy-host"
        folder.mkdir()
        may: dict[str, Any] = {
            "origins": [f"{settings.origin_prefix}*"],
            "calls": ["checkpoint", "dsse", "keys", "health"],
            "payload_types": [PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE],
            "per_second": 1_000,
        }
        self.proxy = Proxy(folder, {LEDGER: may}, prefix=settings.origin_prefix, archive=settings.home / "archive")
        files = self.proxy.authority.issue(uri(LEDGER), stem="ledger")
        signing = SigningSettings(
            url=self.proxy.url, ca_file=files.authority, cert_file=files.certificate, key_file=files.key
        )
        self.settings = settings.model_copy(update={"signing": signing})
        self.desk, self.origin = desk, settings.origin_of("main")
        self.state, self.trust = folder / "signer", folder / "trust.json"
        self.is_up = False
        settings.home.mkdir(mode=0o700)
        told = {
            "COUNTERFOIL_ENV": "test", "COUNTERFOIL_HOME": settings.home, "DATABASE_URL": settings.database_url,
            "COUNTERFOIL_SIGNING__URL": signing.url, "COUNTERFOIL_SIGNING__CA_FILE": signing.ca_file,
            "COUNTERFOIL_SIGNING__CERT_FILE": signing.cert_file, "COUNTERFOIL_SIGNING__KEY_FILE": signing.key_file,
            "SIGNER": self.state, "SIGNER_TRUST": self.trust, "ORIGIN_PREFIX": settings.origin_prefix,
            "PYTHONPATH": FOLDER,
        }  # fmt: skip
        for name, value in told.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.chdir(desk)

    def start(self) -> None:
        self.proxy.start()
        self.is_up = True

    def stop(self) -> None:
        if self.is_up:
            self.proxy.stop()
        self.is_up = False

    def page(self, name: str, *, first: int = 0, last: int | None = None) -> str:
        """Run the commands of a runbook, from one to another; return all that they printed.

        Those of the ledger's host in this process, which costs a second less each; the proxy's host has its own.
        """
        printed = []
        for line in commands(name)[first:last]:
            words = [expand(word) for word in shlex.split(line)]
            if words == ["systemctl", "stop", "counterfoil-signer"]:
                self.stop()
            elif words == ["systemctl", "start", "counterfoil-signer"]:
                self.start()
            elif words[0] == "counterfoil":
                result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
                assert result.exit_code == 0, (line, result.output)
                printed.append(result.stdout)
            else:
                known = {"python": [sys.executable], "cp": ["cp"], "install": ["install"]}
                done = subprocess.run(
                    [*known[words[0]], *words[1:]], capture_output=True, text=True, check=False, timeout=120
                )
                assert done.returncode == 0, (line, done.stdout, done.stderr)
                printed.append(done.stdout)
        return "\n".join(printed)

    def host(self, command: str, *words: object) -> int:
        more = ("--state", self.state, *(() if command == "first" else ("--trust", self.trust)), *words)
        return host.main([command, *map(str, more)])

    def begin(self) -> None:
        """The first registry, without a process a command."""
        for name in HOLDERS:
            make_root(self.desk / f"{name}.pem")
        roots = [word for name in HOLDERS for word in ("--root", self.desk / f"{name}.pem.pub")]
        prefix = ("--origin-prefix", self.settings.origin_prefix)
        assert self.host("first", *prefix, *roots, "--threshold", 2, "--out", self.desk / "first.draft") == 0
        assert self.begin_with(*prefix, *self.signed(self.desk / "first.draft", "anna", "cy")) == 0
        shutil.copy(self.trust, self.settings.home / "trust.json")
        self.start()

    def begin_with(self, *words: object) -> int:
        return self.host("begin", "--draft", self.desk / "first.draft", *words)

    def signed(self, draft: Path, *holders: str) -> list[Path]:
        for name in holders:
            sign_file(str(self.desk / f"{name}.pem"), draft, self.desk / f"{name}.sig", show=lambda _line: None)
        return [self.desk / f"{name}.sig" for name in holders]

    def draft(self, runtime: Runtime, wish: Wish, *, has_next: bool = True) -> tuple[Path, Path | None]:
        """Describe the next key, draft the change and leave it on the desk, with its proofs."""
        described = self.desk / "next.json"
        if has_next:
            assert self.host("next", "--fresh", "--out", described) == 0
        payload, proofs = make_draft_files(runtime, wish, next_key=described if has_next else None)
        path = self.desk / "draft"
        path.write_bytes(payload)
        if proofs is not None:
            (self.desk / "proofs").write_bytes(proofs)
        return path, None if proofs is None else self.desk / "proofs"

    def install(self, files: list[Path], *words: object) -> int:
        """Stop the proxy, install, start it; return what the command said."""
        self.stop()
        status = self.host("install", *words, "--out", self.desk / "change.json", *files)
        self.start()
        return status


def expand(word: str) -> str:
    found = os.path.expandvars(word)
    assert "$" not in found, f"{word} names a variable that the page does not explain"
    return found


@pytest.fixture
def site(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "desk").mkdir()
    made = Site(settings, tmp_path / "desk", monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def begun(site: Site) -> Site:
    site.begin()
    return site


def post(runtime: Runtime, what: str = "event") -> int:
    draft = RecordDraft(kind="security_event", body={"what": what})
    return runtime.ledger().append([draft], Ask(actor=ME)).size


def body_of(runtime: Runtime, seq: int) -> dict[str, Any]:
    with runtime.engine.connect() as connection:
        row = connection.exec_driver_sql("select canonical from ledger.records where seq = %s", (seq,)).one()
    return dict(json.loads(bytes(row[0]))["body"])


def test_the_two_pages_do_what_they_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    begins = next(at for at, line in enumerate(commands("first-registry.md")) if line.startswith("install "))
    said = site.page("first-registry.md", last=begins)
    assert "2 of 3 roots sign the version after it" in said
    site.start()
    shutil.copy(site.trust, site.desk / "trust.json")  # carried from the proxy's host
    site.settings.home.rmdir()
    said = site.page("first-registry.md", first=begins)
    assert "registry version 1" in said
    with open_runtime(site.settings) as runtime:
        post(runtime)
        today = datetime.now(UTC)
        export_segment(runtime, closed_on=today.date() - timedelta(days=2), book="main")
        shutil.copy(next((runtime.home / "archive").rglob("checkpoint")), site.desk / "kept-checkpoint")
        found = listing(runtime)
    monkeypatch.setenv("KEY", found["keys"][0]["key_id"][:8])
    monkeypatch.setenv("ROOT", found["roots"]["keys"][0])
    monkeypatch.setenv("STOLEN_AT", f"{today + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}")
    said = site.page("keys-on-another-host.md")
    assert site.settings.home.stat().st_mode & 0o777 == 0o700
    drafts = [sha256((site.desk / f"{name}.draft").read_bytes()).hexdigest() for name in ("rotate", "stolen", "roots")]
    assert all(said.count(f"draft with sha256 {digest}") == 3 for digest in drafts), (
        "where it is made, and by each root"
    )
    for words in ("has ended", "is revoked", "is compromised", "the roots have changed", "recorded at seq"):
        assert words in said, words
    assert "not recorded" not in said
    with open_runtime(site.settings) as runtime:
        found = listing(runtime)
        assert (found["version"], found["pinned_version"]) == (5, 5)
        assert sorted(item["status"] for item in found["keys"]) == ["active", "compromised", "revoked"]
        assert len(found["roots"]["keys"]) == 3
        assert process_group(site.settings).find(SIGNING_PROXY) is None, "none of the ledger's own was started"
        post(runtime)
        export_segment(runtime, closed_on=datetime.now(UTC).date() - timedelta(days=1), book="main")
        assert check_book(runtime, "main").sound
    report = verify_path(site.settings.home / "archive", site.desk / "auditors-trust.json")
    assert report.verdict == "verified", report.as_lines()


def test_at_a_rotation_the_checkpoint_in_the_log_has_the_lines_of_both_keys(begun: Site) -> None:
    with open_runtime(begun.settings) as runtime:
        post(runtime)
        draft, _ = begun.draft(runtime, Wish(action="rotate", window=10))
        post(runtime, "while the roots sign")
        assert begun.install(begun.signed(draft, "bo", "cy")) == 0
        done = record_change(runtime, begun.desk / "change.json", actor=ME)
        body = body_of(runtime, done.recorded[begun.origin])
        assert len(parse_note(body["note"]).signatures) == 2, "what the ledger has stored of the old key's, and the new"
        assert body["size"] == 3
        assert json.loads(runtime.trust_path.read_bytes())["registry_version"] == 2
        again = record_change(runtime, begun.desk / "change.json", actor=ME)
        assert again.recorded == done.recorded, "told twice, recorded once"
        assert check_book(runtime, "main").sound


def test_a_compromise_is_proved_by_what_is_carried_and_said_where_it_is_not(begun: Site) -> None:
    with open_runtime(begun.settings) as runtime:
        post(runtime)
        export_segment(runtime, closed_on=datetime.now(UTC).date() - timedelta(days=2), book="main")
        for number in range(5):
            size = post(runtime, f"after the export {number}")
        draft, proofs = begun.draft(runtime, Wish(action="compromise"))
        assert proofs is not None
        assert begun.install(begun.signed(draft, "anna", "bo"), "--proofs", proofs) == 0
        done = record_change(runtime, begun.desk / "change.json", actor=ME)
        item = done.change.logs[begun.origin]
        said = json.loads(parse_envelope((item.statement or "").encode()).payload)
        assert (said["tip"]["size"], said["why_not_reattested"]) == (size, None)
        assert said["reattested"] == {"from_size": item.good_size, "to_size": size}
        assert said["evidence"], "where the good tree lies"
        assert check_book(runtime, "main").sound
        # Another one, of which more was signed since.
        draft, proofs = begun.draft(runtime, Wish(action="compromise"))
        post(runtime, "since the draft")
        assert begun.install(begun.signed(draft, "anna", "bo"), "--proofs", proofs) == 0
        item = record_change(runtime, begun.desk / "change.json", actor=ME).change.logs[begun.origin]
        said = json.loads(parse_envelope((item.statement or "").encode()).payload)
        assert (said["tip"], said["reattested"]) == (None, None)
        assert "were signed when the change was installed" in said["why_not_reattested"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda told: told.update(sha256="0" * 64), IntegrityError),
        (lambda told: told.update(version=1), IntegrityError),
        (lambda told: told.update(version=9), DependencyError),
        (lambda told: log_of(told).update(size=log_of(told)["size"] - 1), IntegrityError),
        (lambda told: log_of(told).update(root="A" * 43 + "="), CounterfoilError),
        (lambda told: log_of(told).update(note=log_of(told)["note"].replace("main", "side")), CounterfoilError),
        (lambda told: told.update(logs=[]), InvalidInput),
        (
            lambda told: (
                told.update(action="roots", key_id=None, successor=None) or log_of(told).update(note="", statement=None)
            ),
            IntegrityError,
        ),
        (lambda told: told.update(stranger=1), InvalidInput),
    ],
)
def test_a_change_that_was_changed_on_its_way_is_not_recorded(
    begun: Site, change: Callable[[dict[str, Any]], None], error: type[CounterfoilError]
) -> None:
    with open_runtime(begun.settings) as runtime:
        post(runtime)
        draft, _ = begun.draft(runtime, Wish(action="rotate"))
        assert begun.install(begun.signed(draft, "bo", "cy")) == 0
        path = begun.desk / "change.json"
        value = json.loads(path.read_bytes())
        change(value["change"])
        path.write_text(json.dumps(value))
        size, pinned = runtime.signer.remembered()[begun.origin][0], runtime.trust_path.read_bytes()
        with pytest.raises(error):
            record_change(runtime, path, actor=ME)
        assert runtime.signer.remembered()[begun.origin][0] == size
        assert runtime.trust_path.read_bytes() == pinned


def log_of(told: dict[str, Any]) -> dict[str, Any]:
    (item,) = told["logs"].values()
    found: dict[str, Any] = item
    return found


def test_what_does_not_fit_is_refused_and_the_proxy_goes_on_as_it_was(
    begun: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_runtime(begun.settings) as runtime:
        post(runtime)
        for act in (
            lambda: change_now(runtime, Wish(action="rotate"), actor=ME),
            lambda: install_files(runtime, begun.signed(begun.desk / "first.draft", "anna"), actor=ME),
        ):
            with pytest.raises(ConfigurationError, match="on its own host"):
                act()
        with pytest.raises(InvalidInput, match="this host does not reach it"):
            make_draft_files(runtime, Wish(action="rotate"))
        draft, _ = begun.draft(runtime, Wish(action="rotate"))
        assert begun.host("install", "--out", begun.desk / "c", *begun.signed(draft, "bo", "cy")) == 2
        assert "another signing proxy runs on this folder" in capsys.readouterr().err
        assert begun.install(begun.signed(draft, "bo")) == 2
        assert "lacks the signatures" in capsys.readouterr().err
        post(runtime, "more than the window")
        assert begun.install(begun.signed(draft, "bo", "cy")) == 2
        assert "the draft has expired" in capsys.readouterr().err
        wide, _ = begun.draft(runtime, Wish(action="rotate", window=50))
        side = RecordDraft(kind="security_event", body={"what": "a book that was opened meanwhile"})
        runtime.ledger("side").append([side], Ask(actor=ME))
        assert begun.install(begun.signed(wide, "bo", "cy")) == 2
        assert "was opened since" in capsys.readouterr().err
        assert listing(runtime)["version"] == 1
        assert not (begun.desk / "change.json").exists()
        assert post(runtime, "and signs on") > 0
        roots, _ = begun.draft(
            runtime, Wish(action="roots", roots=RootChange(threshold=3)), has_next=False
        )  # fmt: skip
        assert begun.install(begun.signed(roots, *HOLDERS)) == 0
        honest = (begun.desk / "change.json").read_bytes()
        value = json.loads(honest)
        main, side = (value["change"]["logs"].get(runtime.settings.origin_of(book)) for book in ("main", "side"))
        main["size"] -= 1
        (begun.desk / "change.json").write_text(json.dumps(value))
        with pytest.raises(IntegrityError, match="signed by no key"):
            record_change(runtime, begun.desk / "change.json", actor=ME)
        value = json.loads(honest)
        del value["change"]["logs"][runtime.settings.origin_of("side")]
        (begun.desk / "change.json").write_text(json.dumps(value))
        done = record_change(runtime, begun.desk / "change.json", actor=ME)
        assert done.not_recorded == {runtime.settings.origin_of("side"): "the file says nothing of it"}
        assert any("side: not recorded: the file says nothing of it" in line for line in lines_of(done))
        (begun.desk / "change.json").write_bytes(honest)
        done = record_change(runtime, begun.desk / "change.json", actor=ME)
        assert (done.change.action, done.not_recorded, len(done.recorded)) == ("roots", {}, 2)
        assert side is not None
        assert listing(runtime)["roots"]["threshold"] == 3


def test_a_proof_that_was_changed_vouches_for_nothing(begun: Site) -> None:
    with open_runtime(begun.settings) as runtime:
        post(runtime)
        export_segment(runtime, closed_on=datetime.now(UTC).date() - timedelta(days=2), book="main")
        for number in range(6):
            post(runtime, f"{number}")
        _, proofs = begun.draft(runtime, Wish(action="compromise"))
        assert proofs is not None
        value = json.loads(proofs.read_bytes())
        shown = read_proofs(proofs)
        (item,) = shown.logs
        good = next(iter(runtime.signer.remembered()))
        assert good == item.tip.origin
        value["logs"][0]["path"][0] = "A" * 43 + "="
        proofs.write_text(json.dumps(value))
        draft = begun.desk / "draft"
        assert begun.install(begun.signed(draft, "anna", "bo"), "--proofs", proofs) == 0
        done = record_change(runtime, begun.desk / "change.json", actor=ME)
        said = json.loads(parse_envelope((done.change.logs[begun.origin].statement or "").encode()).payload)
        assert (said["tip"], said["why_not_reattested"]) == (None, "the proof that was given does not hold")
