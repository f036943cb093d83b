"""The signing service over each keeper of keys: a first start, checkpoints that verify, a key that goes and comes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger_core.base.keepers.token import load_library
from ledger_core.errors import DependencyError
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.settings.child import SIGNER_READS, child_environment
from ledger_core.settings.model import Settings
from ledger_core.settings.rooms import SigningSettings
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.client import SigningClient
from ledger_core.signing.service import SigningService
from ledger_core.signing.witness import Request, format_request, parse_request

pytestmark = pytest.mark.integration

ORIGIN = "ledger.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(20)]


def growth(old: int, new: int) -> Request:
    before = Frontier().extend(LEAVES[:old])
    root = Frontier().extend(LEAVES[:new]).root()
    return parse_request(format_request(ORIGIN, before, LEAVES[old:new], root))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Settings of a back-end, the assurance of its keys, and a way to make it fail for `reason`."""

    settings: SignerSettings
    assurance: str
    reason: str
    fail: Callable[[], object]
    mend: Callable[[], object]


def _nothing() -> None:
    pass


@pytest.fixture
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Told:
    if request.param == "pkcs11":
        token = request.getfixturevalue("soft_token")
        token.make(tmp_path.name)
        return Told(
            settings=token.settings(tmp_path.name),
            assurance="software-token",
            reason="session_lost",
            fail=lambda: load_library(token.module).finalize(),
            mend=_nothing,
        )
    if request.param == "awskms":
        kms, refusal = request.getfixturevalue("kms"), request.getfixturevalue("refusal")
        arn = kms.make("service")
        settings = SignerSettings(env="test", backend="awskms", awskms_key=arn, awskms_endpoint=kms.url)
        denial = refusal("AccessDeniedException", "is not authorized to perform: kms:Sign")
        return Told(
            settings=settings,
            assurance="kms",
            reason="denied",
            fail=lambda: kms.trouble.append(denial),
            mend=_nothing,
        )
    bao = request.getfixturevalue("bao")
    bao.make(f"ledger-{tmp_path.name}")
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text(bao.secret_id())
    settings = SignerSettings(
        env="test", backend="vault", vault_url=bao.url, vault_key=f"ledger-{tmp_path.name}", vault_key_version="1",
        vault_role_id=bao.roles["ledger"], vault_secret_id_file=str(tmp_path / "secret"),
        vault_ca_file=str(bao.folder / "ca.pem"), vault_client_cert_file=str(bao.folder / "client.pem"),
        vault_client_key_file=str(bao.folder / "client.key"),
    )  # fmt: skip
    return Told(settings=settings, assurance="kms", reason="sealed", fail=bao.root.sys.seal, mend=bao.unseal)


def start(folder: Path, settings: SignerSettings) -> SigningService:
    return open_service(
        folder / "signer",
        trust_path=folder / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=settings,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("told", ["pkcs11", "awskms", "vault"], indirect=True)
def test_checkpoints_verify_and_a_key_that_fails_signs_nothing_and_goes_on(told: Told, tmp_path: Path) -> None:
    settings = told.settings
    service = start(tmp_path, settings)
    try:
        assert (service.health()["backend"], service.health()["assurance"]) == (settings.backend, told.assurance)
        service.sign_checkpoint(growth(0, 7))
        told.fail()
        with pytest.raises(DependencyError) as failed:
            service.sign_checkpoint(growth(7, 12))
        assert failed.value.context["reason"] == told.reason
        told.mend()
        note = parse_note(service.sign_checkpoint(growth(7, 12)))
        ring = resolve_keys(TrustFile.load(tmp_path / "trust.json"), service._registry)
        judged = ring.judge_checkpoint(note, parse_checkpoint(note.text))
        assert judged.verdict is None
        assert [(item.backend, item.assurance) for item in judged.signers] == [(settings.backend, told.assurance)]
        assert not (tmp_path / "signer" / "key.pem").exists(), "the key lies nowhere on this disk"
    finally:
        service.close()
        if settings.backend == "pkcs11":
            service._backend.close()


@pytest.mark.parametrize("told", ["pkcs11"], indirect=True)
def test_the_proxy_signs_with_a_token_in_a_process_that_is_told_its_own_settings_alone(
    told: Told, tmp_path: Path
) -> None:
    settings = told.settings
    own = {name: getattr(settings, name) for name in SigningSettings.model_fields if name.startswith("pkcs11_")}
    everybody = Settings(home_path=tmp_path, env="test", signing=SigningSettings(backend="pkcs11", **own))
    environment = child_environment(everybody, SIGNER_READS)
    assert "PIN" not in environment
    socket_path = tmp_path / "s"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ledger_core.signing.proxy", "--socket", str(socket_path),
            "--state", str(tmp_path / "signer"), "--trust", str(tmp_path / "trust.json"),
            "--origin-prefix", "ledger.example/test/",
        ],
        env=environment, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not socket_path.exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client = SigningClient(socket_path)
        health = client.health()
        assert (health["backend"], health["assurance"]) == ("pkcs11", "software-token")
        words = Path(f"/proc/{process.pid}/cmdline")
        if words.exists():
            pin = Path(settings.pkcs11_pin_file).read_text().strip().encode()
            assert pin not in words.read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
        client.close()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, f"the library crashed as the process ended: {said!r}"
