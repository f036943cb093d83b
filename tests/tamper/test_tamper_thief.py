"""A thief of the service's credentials, where the proxy runs elsewhere: of the database login alone, of the client's
certificate alone, of both. What he can do stands here, and what says so; nobody lets him rewrite or fork.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.book.sequencer.notary import head_sizes
from ledger_core.errors import CounterfoilError, DependencyError, InvalidInput, LedgerBehind, SignerRefused
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.canonical import canonical_bytes, parse_strict
from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE, parse_envelope
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import encode_base64, parse_checkpoint, parse_note
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import SigningSettings
from ledger_core.signing.calls import verify_calls
from ledger_core.signing.client import SigningClient
from ledger_core.signing.tls import TlsFiles
from tests.integration.signing_tls.conftest import Authority, Proxy, uri

pytestmark = pytest.mark.tamper

LEDGER, ME, THIEF = "spiffe://example.com/ledger", Actor(subject="service"), Actor(subject="thief")


@dataclass(frozen=True, slots=True, kw_only=True)
class Robbed:
    """A ledger whose proxy is on another host, with a night in its archive; and what was stolen of it."""

    settings: Settings
    proxy: Proxy
    certificate: TlsFiles
    origin: str
    folder: Path

    def signer(self, files: TlsFiles | None = None) -> SigningClient:
        return SigningClient(self.proxy.url, tls=files or self.certificate)

    @contextmanager
    def opened(self, files: TlsFiles | None = None) -> Iterator[Runtime]:
        """Open the service: with its own certificate, or with the one that the thief has."""
        settings = self.settings
        if files is not None:
            signing = settings.signing.model_copy(update={"cert_file": files.certificate, "key_file": files.key})
            settings = settings.model_copy(update={"signing": signing})
        with open_runtime(settings) as runtime:
            yield runtime

    def strangers(self) -> TlsFiles:
        """A certificate of the thief's own authority, in the service's name."""
        other = Authority(self.folder / "thief", "thiefs-authority")
        return other.issue(uri(LEDGER), stem="thief", authority=self.proxy.authority.path)


@pytest.fixture
def robbed(settings: Settings, tmp_path: Path) -> Iterator[Robbed]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "thief").mkdir()
    may: dict[str, Any] = {
        "origins": [f"{settings.origin_prefix}*"],
        "calls": ["checkpoint", "dsse", "keys", "health"],
        "payload_types": [PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE],
        "per_second": 1_000,
    }
    proxy = Proxy(folder, {LEDGER: may}, prefix=settings.origin_prefix, archive=settings.home / "archive").start()
    files = proxy.authority.issue(uri(LEDGER), stem="ledger")
    signing = SigningSettings(url=proxy.url, ca_file=files.authority, cert_file=files.certificate, key_file=files.key)
    settings.home.mkdir(mode=0o700)
    (settings.home / "trust.json").write_bytes((folder / "trust.json").read_bytes())
    made = Robbed(
        settings=settings.model_copy(update={"signing": signing}),
        proxy=proxy, certificate=files, origin=settings.origin_of("main"), folder=folder,
    )  # fmt: skip
    with made.opened() as runtime:
        post(runtime, "honest")
        export_segment(runtime, closed_on=date(2026, 3, 30), book="main")
    yield made
    proxy.stop()


def post(runtime: Runtime, what: str, actor: Actor = ME) -> int:
    draft = RecordDraft(kind="security_event", body={"what": what})
    return runtime.ledger().append([draft], Ask(actor=actor)).posted[0].seq


def sizes(runtime: Runtime) -> tuple[int, int]:
    with runtime.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        return head_sizes(driver, "main")


def lies(old: Frontier, count: int) -> dict[str, Any]:
    leaves = [leaf_hash(b"lie %d" % number) for number in range(count)]
    return {"old": old, "leaves": leaves, "root": old.extend(leaves).root()}


def frontier_of(runtime: Runtime) -> Frontier:
    with runtime.engine.connect() as connection:
        rows = connection.execute(text("select leaf_hash from ledger.records order by seq")).scalars()
        return Frontier().extend(bytes(row) for row in rows)


# The database login, without the certificate.


class NoCertificate:
    """The proxy as the thief of the login reaches it: with a certificate that nobody there knows.

    What was signed last he reads in the database, so that his own program goes on.
    """

    def __init__(self, client: SigningClient, newest: str) -> None:
        self._client, self._newest = client, newest

    def latest(self, _origin: str) -> str | None:
        return self._newest

    def sign_checkpoint(self, **asked: Any) -> str:
        return self._client.sign_checkpoint(**asked)

    def close(self) -> None:
        self._client.close()


@contextmanager
def thiefs_ledger(robbed: Robbed, honest: Runtime) -> Iterator[Ledger]:
    """A program of the thief's: the service's own library over its login, and no certificate."""
    signing = honest.settings.signing.model_copy(update={"wait_seconds": 1.0})
    with honest.engine.connect() as connection:
        newest = text("select note from ledger.checkpoints order by size desc limit 1")
        note = str(connection.execute(newest).scalar_one())
    client = robbed.signer(robbed.strangers())
    made = Ledger(
        engine=honest.engine, signer=NoCertificate(client, note), book="main", kinds=honest.kinds, clock=honest.clock,
        settings=honest.settings.model_copy(update={"signing": signing}),
    )  # fmt: skip
    try:
        yield made
    finally:
        made.close()
        client.close()


def test_the_login_without_the_certificate_has_nothing_signed_and_what_it_appends_is_unsigned(robbed: Robbed) -> None:
    with robbed.opened() as honest:
        before = sizes(honest)
        lie = RecordDraft(kind="security_event", body={"what": "a lie"})
        with thiefs_ledger(robbed, honest) as ledger, pytest.raises(DependencyError):
            ledger.append([lie], Ask(actor=THIEF))
        assert sizes(honest) == (before[0] + 1, before[1]), "appended, and no signature covers it"
    report = verify_calls(robbed.proxy.folder / "signer")
    assert report.sound, report.findings


def test_what_the_login_appended_bears_its_words_once_the_service_signs_it(robbed: Robbed) -> None:
    """The one thing that is left to him: to say something false, as himself or in another's name, for good."""
    with robbed.opened() as honest:
        seq = sizes(honest)[0]
        lie = RecordDraft(kind="security_event", body={"what": "a lie"})
        with thiefs_ledger(robbed, honest) as ledger, pytest.raises(DependencyError):
            ledger.append([lie], Ask(actor=THIEF))
        post(honest, "after it")
        size, signed = sizes(honest)
        assert size == signed == seq + 2
        with honest.engine.connect() as connection:
            query = text("select canonical from ledger.records where seq = :seq")
            row = bytes(connection.execute(query, {"seq": seq}).scalar_one())
        assert b'"what":"a lie"' in row
        assert b'"subject":"thief"' in row
        assert check_book(honest, "main").sound, "he can add, neither change nor take away"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ledger.checkpoints select book, size + 1, root, frontier, note from ledger.checkpoints",
        "update ledger.checkpoints set note = 'forged'",
        "update ledger.log_head set signed_size = signed_size + 1",
        "delete from ledger.records",
    ],
)
def test_the_login_writes_no_signature_of_its_own(robbed: Robbed, statement: str) -> None:
    with robbed.opened() as honest:
        with honest.engine.connect() as connection, pytest.raises(DBAPIError, match=r"denied|append-only|violates"):
            connection.execute(text(statement))
        assert check_book(honest, "main").sound


# The certificate, without the database.


def test_the_certificate_signs_growth_that_nobody_posted_and_the_ledger_stops_and_names_it(robbed: Robbed) -> None:
    with robbed.opened() as honest:
        post(honest, "one more")
        old = frontier_of(honest)
    thief = robbed.signer()
    note = thief.sign_checkpoint(origin=robbed.origin, **lies(old, 2))
    thief.close()
    assert parse_checkpoint(parse_note(note).text).size == old.size + 2
    with robbed.opened() as honest:
        with pytest.raises(LedgerBehind) as stopped:
            post(honest, "the next one")
        assert (stopped.value.context["size"], stopped.value.context["signed_size"]) == (old.size, old.size + 2)
        assert Code.BEHIND_PROXY in check_book(honest, "main").codes
        with honest.engine.connect() as connection:
            rows = connection.execute(text("select size from ledger.checkpoints order by size")).scalars()
            kept = "".join(f"{robbed.origin} {size}\n" for size in rows)
    (robbed.folder / "checkpoints").write_text(kept)
    report = verify_calls(robbed.proxy.folder / "signer", ledger=robbed.folder / "checkpoints")
    assert len(report.surplus) == 1
    assert LEDGER in report.surplus[0]
    assert str(old.size + 2) in report.surplus[0]


def test_the_certificate_forks_nothing(robbed: Robbed) -> None:
    thief, (_, size) = robbed.signer(), opened_sizes(robbed)
    for ask in (lies(Frontier(), size), lies(Frontier().extend([leaf_hash(b"x")] * size), 1)):
        with pytest.raises(SignerRefused) as refused:
            thief.sign_checkpoint(origin=robbed.origin, **ask)
        assert refused.value.context["reason"] == "fork"
    thief.close()


def opened_sizes(robbed: Robbed) -> tuple[int, int]:
    with robbed.opened() as honest:
        return sizes(honest)


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (KEYS_TYPE, b'{"origin":"ORIGIN"}', "type"),
        ("application/octet-stream", b'{"origin":"ORIGIN"}', "type"),
        (PROOF_TYPE, b'{"origin":"bank.example/prod/main"}', "origin"),
        (REPORT_TYPE, b'{"origin":"ORIGIN-and-more/x"}', "origin"),
    ],
)
def test_the_certificate_signs_no_registry_and_nothing_of_others(
    robbed: Robbed, kind: str, payload: bytes, reason: str
) -> None:
    thief = robbed.signer()
    with pytest.raises(SignerRefused) as refused:
        thief.sign_dsse(kind, payload.replace(b"ORIGIN", robbed.origin.encode()))
    assert refused.value.context["reason"] == reason
    thief.close()


def test_the_certificate_signs_no_manifest_of_a_tree_that_was_not_signed(robbed: Robbed) -> None:
    (manifest,) = (robbed.settings.home / "archive").rglob("manifest.dsse.json")

    payload: Any = parse_strict(parse_envelope(manifest.read_bytes()).payload)
    payload["tree"]["after"]["root"] = encode_base64(bytes(32))
    thief = robbed.signer()
    with pytest.raises((SignerRefused, InvalidInput)):
        thief.sign_dsse(SEGMENT_TYPE, canonical_bytes(payload))
    thief.close()


def test_an_envelope_that_the_certificate_had_signed_says_who_answered_and_never_that_it_is_so(
    robbed: Robbed, tmp_path: Path
) -> None:
    """A false report in the proxy's own envelope: a verifier looks at what is in it."""
    thief = robbed.signer()
    false = b'{"origin":"%s","schema":"cf-proof-bundle/1","verdict":"verified"}' % robbed.origin.encode()
    envelope = thief.sign_dsse(PROOF_TYPE, false)
    thief.close()
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(envelope))
    report = verify_path(path, robbed.settings.home / "trust.json")
    assert (report.verdict != "verified", report.exit_status != 0) == (True, True), report.as_lines()


# Both.


def test_both_append_and_rewrite_nothing_that_is_archived(robbed: Robbed) -> None:
    """With login and certificate he is the service: what he appends is signed, what was signed stays."""
    with robbed.opened(robbed.certificate) as thiefs:
        seq = post(thiefs, "a lie", THIEF)
    with robbed.opened() as honest:
        assert check_book(honest, "main").sound
        with honest.engine.connect() as connection:
            query = text("select canonical from ledger.records where seq = :seq")
            row = connection.execute(query, {"seq": seq}).scalar()
        assert b'"subject":"thief"' in bytes(row or b"")
        export_segment(honest, closed_on=date(2026, 3, 31), book="main")
    report = verify_path(robbed.settings.home / "archive", robbed.settings.home / "trust.json")
    assert report.verdict == "verified", report.as_lines()


def test_a_client_that_was_taken_off_the_list_has_nothing_signed_any_more(robbed: Robbed) -> None:
    """What is done about it (docs/runbooks/signing-proxy.md, 1): its name goes, the proxy is started again."""
    robbed.proxy.stop()
    path = robbed.proxy.folder / "signer" / "clients.json"
    path.write_text(path.read_text().replace(LEDGER, "spiffe://example.com/ledger-2"))
    robbed.proxy.start()
    thief = robbed.signer()
    for call in (thief.keys, thief.health, lambda: thief.latest(robbed.origin)):
        with pytest.raises(CounterfoilError) as refused:
            call()
        assert refused.value.context.get("reason") == "identity"
    thief.close()
    fresh = robbed.proxy.authority.issue(uri("spiffe://example.com/ledger-2"), stem="ledger-2")
    with robbed.opened(fresh) as honest:
        post(honest, "with a certificate of its own")
        assert check_book(honest, "main").sound


# A proxy whose state was put back, with the archive out of reach of whoever did it.


def test_a_proxy_whose_folder_was_put_back_does_not_start_and_is_named_by_the_archive(
    robbed: Robbed, tmp_path: Path
) -> None:
    folder, earlier = robbed.proxy.folder / "signer", tmp_path / "earlier"
    robbed.proxy.stop()
    shutil.copytree(folder, earlier)
    robbed.proxy.start()
    with robbed.opened() as honest:
        post(honest, "since")
        export_segment(honest, closed_on=date(2026, 3, 31), book="main")
    robbed.proxy.stop()
    today = tmp_path / "today"
    folder.rename(today)
    shutil.copytree(earlier, folder)
    with pytest.raises(AssertionError, match="the witness state is older than the archive"):
        robbed.proxy.start()
    shutil.rmtree(folder)
    today.rename(folder)
    robbed.proxy.start()
    with robbed.opened() as honest:
        post(honest, "with its own memory again")
