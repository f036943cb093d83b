"""The tool of a root's holder: it signs a registry document and nothing else, and leaves no key anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.ceremony import offline
from ledger_core.errors import ConfigurationError, CounterfoilError, InvalidInput
from ledger_core.log.dsse import parse_envelope, verify_envelope
from ledger_core.log.keys import Validity, registry_payload
from ledger_core.log.note import PublicKey
from ledger_core.log.registry import KeyRecord

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    offline.make_root(tmp_path / "root.pem")
    return tmp_path / "root.pem"


@pytest.fixture
def draft(root: Path, tmp_path: Path) -> Path:
    key = offline.read_public(root.with_name("root.pem.pub"))
    path = tmp_path / "draft"
    path.write_bytes(
        registry_payload(version=2, previous_sha256="0" * 64, roots=[key], threshold=1, keys=[], created_at="today")
    )
    return path


def test_a_root_is_its_holders_alone_and_is_never_written_over(root: Path) -> None:
    assert root.stat().st_mode & 0o777 == 0o600
    before = root.read_bytes()
    with pytest.raises(ConfigurationError, match="there is a file already"):
        offline.make_root(root)
    assert root.read_bytes() == before
    assert b"PRIVATE" not in root.with_name("root.pem.pub").read_bytes()


def test_signing_needs_no_home_no_database_and_no_network_and_leaves_one_file(
    root: Path, draft: Path, tmp_path: Path
) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    # `-I` and an empty environment: no home is found, no setting is read; strace would show no socket.
    code = (
        "import sys, socket; sys.path.insert(0, sys.argv.pop(1));"
        "socket.socket = None;"
        "from ledger_core.ceremony.offline import main; status = main(sys.argv[1:]);"
        "heavy = {'sqlalchemy', 'psycopg', 'pydantic', 'typer'} & sys.modules.keys();"
        "assert not heavy, heavy; sys.exit(status)"
    )
    words = ["sign", "--key", str(root), "--draft", str(draft), "--out", str(desk / "sig")]
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), *words],
        cwd=desk,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "key registry version 2" in done.stdout
    assert [path.name for path in desk.iterdir()] == ["sig"]
    envelope = parse_envelope((desk / "sig").read_bytes())
    key = offline.read_public(root.with_name("root.pem.pub"))
    assert verify_envelope(envelope, [key]) == [key.key_id]
    assert envelope.payload == draft.read_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"hello", b"\xff", b'{"schema":"cf-segment/1"}', b"[" * 100_000], ids=lambda data: data[:9]
)
def test_what_is_no_registry_document_is_not_signed(root: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "draft").write_bytes(data)
    with pytest.raises(CounterfoilError):
        offline.sign_file(str(root), tmp_path / "draft", tmp_path / "sig")
    assert not (tmp_path / "sig").exists()


def test_a_key_that_others_may_read_is_not_used(root: Path, draft: Path, tmp_path: Path) -> None:
    root.chmod(0o644)
    with pytest.raises(ConfigurationError, match="mode"):
        offline.sign_file(str(root), draft, tmp_path / "sig")
    with pytest.raises(ConfigurationError, match="there is no key"):
        offline.sign_file("software", draft, tmp_path / "sig")


def test_signatures_of_one_draft_are_merged_and_of_two_refused(root: Path, draft: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    offline.make_root(other)
    for key, out in ((root, "a"), (other, "b"), (root, "c")):
        offline.sign_file(str(key), draft, tmp_path / out)
    merged = offline.merge([tmp_path / name for name in ("a", "b", "a", "c")])
    assert len({item.key_id for item in merged.signatures}) == 2
    draft.write_bytes(draft.read_bytes().replace(b'"version":2', b'"version":3'))
    offline.sign_file(str(other), draft, tmp_path / "d")
    with pytest.raises(InvalidInput, match="something else"):
        offline.merge([tmp_path / "a", tmp_path / "d"])
    with pytest.raises(InvalidInput):
        offline.merge([])
    with pytest.raises(InvalidInput):
        offline.merge([draft])


def test_one_public_key_in_two_forms_is_one_key_or_none() -> None:
    """A compressed point is the same key under another hash: listed twice, one holder would be two."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    whole = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    assert PublicKey(whole).key_id
    with pytest.raises(InvalidInput, match="one DER form"):
        PublicKey(head + point)


def draft_of(root: Path, *, status: str = "retired", backend: str = "software") -> bytes:
    key = offline.read_public(root.with_name("root.pem.pub"))
    record = KeyRecord(
        key=key,
        backend=backend,
        assurance="software",
        status=status,
        purposes=("checkpoint", "\x1b[8mdsse"),
        valid=(Validity(origin="ledger.example/test/main\u202e", from_size=0, to_size=None),),
    )
    return registry_payload(
        version=2, previous_sha256="ab" * 32, roots=[key], threshold=1, keys=[record], created_at="now\x1b[2J\rthen"
    )


def test_what_is_signed_is_shown_first_and_whole_and_obeys_no_terminal(root: Path, tmp_path: Path) -> None:
    data, out, shown = draft_of(root, backend="soft\nware"), tmp_path / "sig", []
    (tmp_path / "draft").write_bytes(data)

    def show(line: str) -> None:
        shown.append((line, out.exists()))

    offline.sign_file(str(root), tmp_path / "draft", out, show=show)
    text = "\n".join(line for line, _ in shown)
    assert [written for _, written in shown] == [False] * (len(shown) - 1) + [True], "the last names the file"
    assert all(line.isprintable() for line, _ in shown), shown
    for word in (sha256(data).hexdigest(), "ab" * 32, "checkpoint, \\x1b[8mdsse", "soft\\nware", "now\\x1b[2J\\rthen"):
        assert word in text, (word, text)


@pytest.mark.parametrize("status", ["trusted", "", "Active", "active ", "active\x1b[8m"])
def test_a_draft_with_a_status_of_no_key_is_not_signed(root: Path, tmp_path: Path, status: str) -> None:
    (tmp_path / "draft").write_bytes(draft_of(root, status=status))
    with pytest.raises(InvalidInput, match=re.escape("no status of a key")):
        offline.sign_file(str(root), tmp_path / "draft", tmp_path / "sig")
    assert not (tmp_path / "sig").exists()


@pytest.mark.parametrize("over", ["root.pem", "other.pem", "draft", "link"])
def test_a_signature_is_written_over_no_private_key_and_not_over_its_draft(
    root: Path, draft: Path, tmp_path: Path, over: str
) -> None:
    offline.make_root(tmp_path / "other.pem")
    (tmp_path / "link").symlink_to(root)
    before = (tmp_path / over).read_bytes()
    with pytest.raises(ConfigurationError, match="written over"):
        offline.sign_file(str(root), draft, tmp_path / over)
    assert (tmp_path / over).read_bytes() == before
