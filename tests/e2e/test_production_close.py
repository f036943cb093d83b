"""The production installation, end to end: keys on a token, an archive that is locked, mutual TLS everywhere.

Every part is a real one and runs as production demands: the signing proxy as a process of its own with its key on a
SoftHSM token (behind a slot that says it is a device: `site/device_slot.c`), roots that are kept elsewhere and of which
two of three must agree, Postgres with client certificates, an S3 service over TLS with object lock in compliance mode,
and the product's own commands under `COUNTERFOIL_ENV=production`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log.bucket import Bucket
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE
from ledger_core.signing.calls import verify_calls
from tests.e2e.site.servers import ROOT, SigningHost, bucket_service, database, postgres_programs
from tests.e2e.site.token import PIN, Token, make_token
from tests.integration.signing_tls.conftest import Authority, uri

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

LEDGER, PREFIX = "spiffe://books.example/ledger", "books.example/production/"
ARCHIVE, BUCKET = "s3://books-archive/books", "books-archive"
SECRET = "secret-of-the-archive-91"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Two hosts, the database and the archive; `environment` is the ledger's host's."""

    folder: Path
    home: Path
    token: Token
    signing: SigningHost
    environment: dict[str, str]
    bucket: Bucket

    def __call__(self, *words: object, status: int | None = 0, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run `counterfoil` on the ledger's host."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *map(str, words)],
            env=self.environment | changed, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == status or (status is None and done.returncode < 2), (
            f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def on_host(self, command: str, *words: object, status: int = 0) -> str:
        """Run the keys' command of the proxy's host."""
        done = self.signing.run("ledger_core.ceremony.host", command, "--state", self.signing.state, *words)
        assert done.returncode == status, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The servers, an empty home, a token with a key; no registry yet, and no proxy."""
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o755)
    authority, token = Authority(folder, "authority"), make_token(folder / "token")
    token.make("first")
    token.make_secret("raw")
    with ExitStack() as stack:
        endpoint = stack.enter_context(bucket_service(folder / "s3", authority, SECRET))
        address = stack.enter_context(database(folder / "postgres", authority))
        aws = credentials(folder, authority)
        common = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8",
            "COUNTERFOIL_ENV": "production", "COUNTERFOIL_ARCHIVE__ENDPOINT": endpoint, **aws,
        }  # fmt: skip
        signing = SigningHost(
            folder / "signing", authority, common | token.settings("first"), prefix=PREFIX, archive=ARCHIVE
        )
        files, home = authority.issue(uri(LEDGER), stem="ledger"), folder / "home"
        home.mkdir(mode=0o700)
        environment = {
            **common,
            "COUNTERFOIL_HOME": str(home),
            "COUNTERFOIL_LEDGER__DOMAIN": "books.example",
            "COUNTERFOIL_API__SOCKET": str(folder / "api.sock"),
            "COUNTERFOIL_ARCHIVE__URL": ARCHIVE,
            "COUNTERFOIL_ARCHIVE__RETENTION_YEARS": "0",
            "COUNTERFOIL_ARCHIVE__RETENTION_DAYS": "1",
            "COUNTERFOIL_SIGNING__URL": signing.url,
            "COUNTERFOIL_SIGNING__CA_FILE": str(files.authority),
            "COUNTERFOIL_SIGNING__CERT_FILE": str(files.certificate),
            "COUNTERFOIL_SIGNING__KEY_FILE": str(files.key),
            "DATABASE_URL": address,
            **token.file_keys("raw"),
        }
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in aws.items():
            patch.setenv(name, value)
        bucket = Bucket(BUCKET, endpoint=endpoint)
        bucket.client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        stack.callback(bucket.client.close)
        yield Site(
            folder=folder, home=home, token=token, signing=signing, environment=environment, bucket=bucket
        )  # fmt: skip


def credentials(folder: Path, authority: Authority) -> dict[str, str]:
    """Return the variables by which AWS's library reaches the archive: no secret stands in them."""
    path = folder / "aws-credentials"
    path.touch(mode=0o600)
    path.write_text(f"[default]\naws_access_key_id = archive\naws_secret_access_key = {SECRET}\n")
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(path),
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_CA_BUNDLE": str(authority.path),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def first_registry(site: Site) -> None:
    """The ceremony of docs/runbooks/first-registry.md: three holders, of whom two sign."""
    desk = site.folder / "holders"
    desk.mkdir()
    offline = {"PATH": os.environ["PATH"]}
    for name in ("anna", "bo", "cy"):
        keys_command(offline, "make-root", desk / f"{name}.pem")
    roots = [word for name in ("anna", "bo", "cy") for word in ("--root", desk / f"{name}.pem.pub")]
    draft = desk / "first.draft"
    site.on_host("first", "--origin-prefix", PREFIX, *roots, "--threshold", 2, "--out", draft)
    for name in ("anna", "cy"):
        shown = keys_command(
            offline, "sign-root", "--key", desk / f"{name}.pem", "--draft", draft, "--out", desk / f"{name}.sig"
        )
        assert "(pkcs11, hsm)" in shown
    begin = ("--trust", site.signing.trust, "--origin-prefix", PREFIX, "--draft", draft)
    assert "signed by the pinned roots" in site.on_host("begin", *begin, desk / "anna.sig", status=2)
    assert not site.signing.trust.exists()
    said = site.on_host("begin", *begin, desk / "anna.sig", desk / "cy.sig")
    assert "2 of 3 roots" in said
    site.signing.allow(
        {
            LEDGER: {
                "origins": [f"{PREFIX}*"],
                "calls": ["checkpoint", "dsse", "keys", "health"],
                "payload_types": [PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE],
                "per_second": 200,
            }
        }
    )
    shutil.copy(site.signing.trust, site.home / "trust.json")
    shutil.copy(site.signing.trust, site.folder / "auditors.json")


def keys_command(environment: dict[str, str], *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "keys", *map(str, words)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def deliver(sample: Path, home: Path) -> None:
    """Put the month into the landing folders."""
    landing = home / "landing"
    shutil.copytree(sample / "stripe", landing / "stripe_report", dirs_exist_ok=True)
    shutil.copytree(sample / "bank", landing / "camt053", dirs_exist_ok=True)
    (landing / "entries").mkdir(exist_ok=True)
    shutil.copy(sample / "entries.jsonl", landing / "entries" / "entries.jsonl")


def test_the_month_is_closed_with_a_key_on_a_token_into_a_locked_archive_and_an_auditor_verifies_it(
    site: Site, sample: Path
) -> None:
    bare = subprocess.run(
        list(map(str, site.signing.words)), capture_output=True, text=True, check=False, cwd=ROOT,
        env=site.signing.environment | site.token.settings("first", module=site.token.bare),
    )  # fmt: skip
    assert bare.returncode == 2
    assert "keys that no root has signed" in bare.stderr
    first_registry(site)
    bare = subprocess.run(
        list(map(str, site.signing.words)), capture_output=True, text=True, check=False, cwd=ROOT,
        env=site.signing.environment | site.token.settings("first", module=site.token.bare),
    )  # fmt: skip
    assert "a PKCS#11 token that is a program is refused in production" in bare.stderr
    truth = json.loads((sample / "truth.json").read_text())
    site.signing.start()
    close_the_month(site, sample, truth)
    the_archive_is_locked_and_verified(site)
    a_marker_is_an_alarm(site)
    as_of = date.fromisoformat(truth["as_of"])
    another_key_of_the_token_signs(site, as_of + timedelta(days=1))
    a_key_that_is_destroyed_is_ended(site, as_of + timedelta(days=2))
    site.signing.stop()
    the_keys_are_nowhere(site)


def close_the_month(site: Site, sample: Path, truth: dict[str, Any]) -> None:
    site("accounts", "apply", sample / "accounts.yaml", "--json")
    first = min(json.loads(line)["effective_at"][:10] for line in (sample / "entries.jsonl").read_text().splitlines())
    deliver(sample, site.home)
    before = date.fromisoformat(truth["as_of"]) - timedelta(days=1)
    site("close", f"{first}..{before}", "--json", status=None)
    # A second one, over what the first one left in the home.
    closed = json.loads(site("close", truth["as_of"], "--json", status=1).stdout)
    assert closed["verdict"] == "breaks"
    found = json.loads(site("breaks", "list", "--json").stdout)
    assert sorted(item["class"] for item in found) == sorted(item["class"] for item in truth["breaks"])
    assert json.loads(site("check", "--json").stdout)["findings"] == []
    held = json.loads(site("file-keys", "list", "--json").stdout)
    assert held["opens"]
    assert [row["by"]["backend"] for row in held["keys"]] == ["pkcs11"]
    assert not (site.home / "wrapping").exists()


def verify(site: Site, *, status: int) -> dict[str, Any]:
    words = ("verify", ARCHIVE, "--trust", site.folder / "auditors.json", "--json")
    report: dict[str, Any] = json.loads(site(*words, status=status).stdout)
    return report


def the_archive_is_locked_and_verified(site: Site) -> None:
    report = verify(site, status=0)
    assert report["verdict"] == "verified"
    assert "hsm" in json.dumps(report), report
    locked = 0
    for _, versions in site.bucket.versions("books/"):
        for item in versions:
            name = {"Key": item.key, "VersionId": item.version_id}
            lock = site.bucket.ask("get_object_retention", **name)["Retention"]
            assert lock["Mode"] == "COMPLIANCE"
            for more in ({}, {"BypassGovernanceRetention": True}):
                with pytest.raises(Exception, match=r"AccessDenied|WORM|[Ll]ock") as refused:
                    site.bucket.client.delete_object(Bucket=BUCKET, **name, **more)
                assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403  # type: ignore[attr-defined]
            locked += 1
    assert locked >= 8, "two segments of four files"
    assert verify(site, status=0)["verdict"] == "verified"


def a_marker_is_an_alarm(site: Site) -> None:
    key = next(key for key, _ in site.bucket.versions("books/") if key.endswith("records.jsonl.gz"))
    marker = site.bucket.client.delete_object(Bucket=BUCKET, Key=key)
    report = verify(site, status=1)
    assert {item["verdict"] for item in report["failures"]} == {"foreign"}
    site.bucket.client.delete_object(Bucket=BUCKET, Key=key, VersionId=marker["VersionId"])
    assert verify(site, status=0)["verdict"] == "verified"


def another_key_of_the_token_signs(site: Site, day: date) -> None:
    """The page of docs/runbooks/keys-on-another-host.md, 1, with a key that was made on the token."""
    desk = site.folder / "holders"
    site.token.make("second")
    site.signing.environment |= site.token.settings("second")
    site.on_host("next", "--trust", site.signing.trust, "--out", desk / "next.json")
    site("keys", "rotate", "--next", desk / "next.json", "--window", 1000, "--draft", desk / "rotate.draft")
    install(site, "rotate.draft", "bo", "cy")
    assert "recorded at seq" in site("keys", "tell", desk / "change.json").stdout
    site("check")
    site("export", day)
    assert verify(site, status=0)["verdict"] == "verified", "by an auditor of before the rotation"


def a_key_that_is_destroyed_is_ended(site: Site, day: date) -> None:
    """A compromise whose first step was to take the key off its token: the proxy signs nothing, and it goes on."""
    desk = site.folder / "holders"
    site.token.destroy("second")
    site.signing.stop()
    dead = subprocess.run(
        list(map(str, site.signing.words)), capture_output=True, text=True, check=False, cwd=ROOT,
        env=site.signing.environment, timeout=120,
    )  # fmt: skip
    assert (dead.returncode, "not found" in dead.stderr) == (2, True), dead.stderr
    site.token.make("third")
    site.signing.environment |= site.token.settings("third")
    site.on_host("next", "--trust", site.signing.trust, "--fresh", "--out", desk / "next.json")
    draft = desk / "stolen.draft"
    site("keys", "compromise", "--next", desk / "next.json", "--draft", draft)
    install(site, draft.name, "anna", "bo", proofs=desk / "stolen.draft.proofs")
    said = site("keys", "tell", desk / "change.json").stdout
    assert "is compromised" in said
    assert "beyond doubt up to size" in said
    assert "not vouched for" not in said
    site("check")
    site("keys", "trust", "--out", site.folder / "auditors.json")
    site("export", day)
    assert verify(site, status=0)["verdict"] == "verified"


def install(site: Site, draft: str, *holders: str, proofs: Path | None = None) -> None:
    """Have `holders` sign, and the proxy's host install it while the proxy stands still."""
    desk, files = site.folder / "holders", []
    for name in holders:
        files.append(desk / f"{name}.sig")
        keys_command(
            {"PATH": os.environ["PATH"]},
            "sign-root", "--key", desk / f"{name}.pem", "--draft", desk / draft, "--out", files[-1],
        )  # fmt: skip
    site.signing.stop()
    shown = () if proofs is None else ("--proofs", proofs)
    site.on_host("install", "--trust", site.signing.trust, *shown, "--out", desk / "change.json", *files)
    site.signing.start()


def the_keys_are_nowhere(site: Site) -> None:
    """By their attributes, and by their bytes: looked for in everything that both hosts, the database and S3 hold."""
    for name in ("first", "third"):
        assert site.token.attributes(name) == {
            "EXTRACTABLE": False, "NEVER_EXTRACTABLE": True, "SENSITIVE": True, "ALWAYS_SENSITIVE": True,
            "LOCAL": True, "VALUE": "AttributeSensitive",
        }  # fmt: skip
    envelope = json.loads((site.signing.state / "keys.jsonl").read_text().splitlines()[-1])
    document = json.loads(base64.b64decode(envelope["payload"]))
    assert len(document["roots"]["keys"]) == 3
    assert {(key["backend"], key["assurance"]) for key in document["keys"]} == {("pkcs11", "hsm")}
    standing = [key for key in document["keys"] if key["status"] != "compromised"]
    numbers = [site.token.scalar_of(base64.b64decode(key["spki"])) for key in standing]
    dump = subprocess.run(
        [postgres_programs() / "pg_dump", site.environment["DATABASE_URL"]],
        capture_output=True,
        check=True,
        timeout=120,
    ).stdout
    assert b"counterfoil" in dump
    secrets = {**forms("the PIN", PIN), **forms("the archive's secret", SECRET)}
    for number in numbers:
        secrets |= forms("a key", number)
    allowed = {site.token.folder / "pin": "the PIN", site.folder / "aws-credentials": "the archive's secret"}
    for path in [*site.folder.rglob("*"), None]:
        if path is not None and (not path.is_file() or site.token.folder / "tokens" in path.parents):
            continue
        data = dump if path is None else path.read_bytes()
        found = {what for form, what in secrets.items() if form in data} - {allowed.get(path or Path())}
        assert not found, (path or "the dump of the database", found)
        if path is not None and "holders" not in path.parts and path.suffix != ".key":
            assert b"PRIVATE KEY-----" not in data, path
    report = verify_calls(site.signing.state)
    assert report.sound, report.findings


def forms(what: str, secret: bytes | str) -> dict[bytes, str]:
    """Return how `secret` may be written: as it is, in hex, in base64 wherever it begins."""
    data = secret if isinstance(secret, bytes) else secret.encode()
    written = [data]
    if len(data) >= 16:
        written += [data.hex().encode(), data.hex().upper().encode()]
        # Of base64 the characters in the middle, which do not depend on what stands around.
        written += [base64.b64encode(bytes(lead) + data)[4:-4] for lead in range(3)]
    return dict.fromkeys(written, what)
