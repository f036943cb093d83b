"""`counterfoil verify` and the verifier in one file: whose trust they believe, and what they can be asked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.trust import pinned_trust
from ledger_core.log.__main__ import main as verifier_main
from ledger_core.log.object_tree import place_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the caller's own, without a home above it."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COUNTERFOIL_HOME", raising=False)
    return folder


def verify(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["verify", *map(str, arguments), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else {}


def put_trust(folder: Path, archive: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trust.json").write_text(json.dumps(archive.log.trust.as_json()))
    return folder / "trust.json"


@pytest.fixture
def carried(archive: Any) -> Any:
    """An archive of a forger's, which brings all that would make it believed."""
    put_trust(archive.root, archive)
    put_trust(archive.root / ".counterfoil", archive)
    (archive.root / "proof.json").write_bytes(archive.log.proof_envelope(3))
    return archive


@pytest.mark.parametrize("place", ["", "ledger.example", "ledger.example/test/main/segments"])
@pytest.mark.parametrize("target", [".", "ledger.example", "absolute", "proof.json"])
def test_an_archive_that_brings_its_own_trust_is_not_believed_wherever_verify_is_started(
    carried: Any, place: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(carried.root / place)
    path = carried.root if target == "absolute" else Path(target)
    if target in ("ledger.example", "proof.json"):
        path = Path(os.path.relpath(carried.root / target))
    status, report = verify(path)
    assert (status, report["verdict"]) == (2, "unverifiable")
    assert "nothing is pinned" in report["failures"][0]["detail"]


def test_a_home_under_the_verified_path_is_not_believed_even_when_it_is_named(
    carried: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(carried.root / ".counterfoil"))
    assert verify(carried.root)[0] == 2
    (elsewhere / "link").symlink_to(carried.root / ".counterfoil")
    monkeypatch.setenv("COUNTERFOIL_HOME", str(elsewhere / "link"))
    assert verify(carried.root)[0] == 2


def test_the_home_of_the_caller_is_believed(archive: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = elsewhere / ".counterfoil"
    pinned = put_trust(home, archive)
    status, report = verify(archive.root)
    assert (status, report["verdict"], report["trust"]["file"]) == (0, "verified", str(pinned))
    shutil.copytree(archive.root, home / "archive")
    assert verify(home / "archive")[0] == 0, "the archive of one's own ledger"
    assert verify(home)[0] == 2
    shutil.copytree(archive.root, elsewhere / "unpacked")
    assert verify("unpacked")[0] == 2, "it may have been unpacked together with the home"
    monkeypatch.setenv("COUNTERFOIL_HOME", str(home))
    assert verify("unpacked")[0] == 0


def test_a_named_trust_file_is_believed_and_named(archive: Any, elsewhere: Path) -> None:
    pinned = put_trust(elsewhere, archive)
    assert verify(archive.root)[0] == 2, "not because it lies where verify is started"
    status, report = verify(archive.root, "--trust", pinned)
    assert (status, report["trust"]["file"]) == (0, str(pinned))
    assert report["trust"]["roots"] == [archive.log.root_key.public_key.key_id]
    assert verify(archive.root, "--trust", elsewhere / "absent.json")[0] == 2


def said(*arguments: str | Path) -> str:
    """Return what `verify` says on the error stream."""
    return " ".join(CliRunner().invoke(app, ["verify", *map(str, arguments), "--json"]).stderr.split())


def test_a_word_says_why_a_trust_file_is_not_believed_or_proves_little(
    carried: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = carried.root / "trust.json"
    assert f"{brought} lies under {carried.root}: it says only what" in said(carried.root, "--trust", brought)
    assert verify(carried.root, "--trust", brought)[0] == 0, "it was named"
    apart = put_trust(elsewhere, carried)
    assert said(carried.root, "--trust", apart) == ""
    assert f"there is no trust file {elsewhere / 'absent'}" in said(carried.root, "--trust", elsewhere / "absent")
    assert said(carried.root) == "", "there is no home here of which anything could be said"
    (elsewhere / ".counterfoil").mkdir()
    assert said(carried.root) == "", "nor has the home pinned anything"
    assert pinned_trust(carried.root, None) is None
    monkeypatch.chdir(carried.root)
    assert "may have come with" in said(".")
    assert "--trust" in said(".")


@pytest.mark.parametrize(
    ("home", "path", "believed"),
    [
        # Found above the working directory:
        (".counterfoil", ".counterfoil/archive", True),
        (".counterfoil", "unpacked", False),
        (".counterfoil", "deeper/unpacked", False),
        (".counterfoil", "../apart", True),
        (".counterfoil", "..", False),
        (".counterfoil", ".", False),
        (".counterfoil", ".counterfoil", False),
        # Named:
        ("named", "unpacked", True),
        ("named", "../apart", True),
        ("named", "named/archive", True),
        ("named", "named", False),
        ("named", ".", False),
        ("../apart/named", "../apart", False),
        ("link", "../apart", False),
    ],
)
def test_a_home_is_believed_by_where_it_lies_and_by_who_named_it(
    archive: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, home: str, path: str, believed: bool
) -> None:
    (elsewhere.parent / "apart").mkdir()
    (elsewhere / "link").symlink_to(elsewhere.parent / "apart")
    pinned = put_trust(elsewhere / home, archive)
    (elsewhere / path).mkdir(parents=True, exist_ok=True)
    if home != ".counterfoil":
        monkeypatch.setenv("COUNTERFOIL_HOME", str(elsewhere / home))
    assert (pinned_trust(Path(path), None) == pinned) is believed


def test_a_link_makes_nothing_lie_elsewhere(carried: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "way").symlink_to(carried.root)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(carried.root / ".counterfoil"))
    assert pinned_trust(Path("way"), None) is None
    (elsewhere / "home").mkdir()
    (elsewhere / "home/trust.json").symlink_to(carried.root / "trust.json")
    monkeypatch.setenv("COUNTERFOIL_HOME", str(elsewhere / "home"))
    assert pinned_trust(carried.root, None) is None
    assert "lies under" in said(carried.root, "--trust", elsewhere / "home/trust.json")


def test_what_lies_in_a_bucket_brings_no_trust_file_along(
    archive: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of("s3://some-bucket/books")
    assert pinned_trust(place, None) is None
    pinned = put_trust(elsewhere / ".counterfoil", archive)
    assert pinned_trust(place, None) == pinned
    assert pinned_trust(place, pinned) == pinned


def test_settings_that_cannot_be_read_pin_nothing(
    archive: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_trust(elsewhere / ".counterfoil", archive)
    assert verify(archive.root)[0] == 0
    monkeypatch.setenv("COUNTERFOIL_ENV", "nonsense")
    assert verify(archive.root)[1]["verdict"] == "unverifiable"


def test_a_trust_file_that_is_a_pipe_or_a_device_is_none(archive: Any, elsewhere: Path) -> None:
    os.mkfifo(elsewhere / "pipe")
    (elsewhere / "round").symlink_to(elsewhere / "round")
    for path in (elsewhere / "pipe", Path("/dev/zero"), elsewhere / "round", elsewhere):
        assert verify(archive.root, "--trust", path)[0] == 2
        assert verifier_main([str(archive.root), "--trust", str(path), "--json"]) == 2


def test_a_kept_checkpoint_and_a_beginning_can_be_given(archive: Any, elsewhere: Path) -> None:
    pinned = put_trust(elsewhere, archive)
    kept = elsewhere / "kept"
    kept.write_text(archive.log.note(60))
    trusted = (archive.root, "--trust", pinned)
    assert verify(*trusted, "--known-checkpoint", kept)[0] == 0
    shutil.rmtree(archive.folders[2])
    status, report = verify(*trusted, "--known-checkpoint", kept)
    assert (status, report["verdict"]) == (1, "truncated")
    shutil.rmtree(archive.folders[0])
    assert verify(*trusted)[1]["verdict"] == "truncated"
    assert verify(*trusted, "--since", "20")[0] == 0
    os.mkfifo(elsewhere / "pipe")
    assert verify(*trusted, "--known-checkpoint", elsewhere / "pipe")[0] == 2


def test_the_verifier_in_one_file_believes_a_named_trust_file_alone(
    carried: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned = put_trust(elsewhere, carried)
    monkeypatch.chdir(carried.root)
    assert verifier_main([".", "--json"]) == 2
    assert verifier_main(["ledger.example", "--trust", str(pinned), "--json"]) == 0
    kept = elsewhere / "kept"
    kept.write_text(carried.log.note(33, root=b"f" * 32))
    assert verifier_main(["ledger.example", "--trust", str(pinned), "--known-checkpoint", str(kept)]) == 1
    shutil.rmtree(carried.folders[0])
    assert verifier_main(["ledger.example", "--trust", str(pinned)]) == 1
    assert verifier_main(["ledger.example", "--trust", str(pinned), "--since", "20"]) == 0
    assert "VERIFIED" in capsys.readouterr().out
