"""The first registry of a proxy whose roots are kept elsewhere: begun as they signed it, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger_core.ceremony import host
from ledger_core.ceremony.first import begin, first_draft
from ledger_core.ceremony.offline import make_root, sign_file
from ledger_core.errors import ConfigurationError, CounterfoilError, IntegrityError, InvalidInput, Refused
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import software
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.takeover import read_registry

PREFIX, HOLDERS = "books.example/test/", ("anna", "bo", "cy")


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.trust = folder, folder / "signer", folder / "etc" / "trust.json"
        for name in HOLDERS:
            make_root(folder / f"{name}.pem")

    def draft(self, *, threshold: int = 2, roots: tuple[str, ...] = HOLDERS) -> Path:
        publics = [self.folder / f"{name}.pem.pub" for name in roots]
        out = self.folder / "draft"
        first_draft(self.state, publics, threshold=threshold, origin_prefix=PREFIX, out=out)
        return out

    def signed(self, draft: Path, *names: str) -> list[Path]:
        for name in names:
            out = self.folder / f"{name}.sig"
            sign_file(str(self.folder / f"{name}.pem"), draft, out, show=lambda _line: None)
        return [self.folder / f"{name}.sig" for name in names]

    def begin(self, files: list[Path], prefix: str = PREFIX) -> list[str]:
        return begin(self.state, self.trust, files, draft=self.folder / "draft", origin_prefix=prefix)

    def left(self) -> set[str]:
        return {path.name for path in self.state.iterdir()} if self.state.exists() else set()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def start(site: Site) -> Any:
    return open_service(
        site.state,
        trust_path=site.trust,
        origin_prefix=PREFIX,
        settings=SignerSettings(),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_what_two_of_three_roots_signed_is_begun_and_the_proxy_starts_on_it(site: Site) -> None:
    said = site.begin(site.signed(site.draft(), "anna", "cy"))
    assert "  2 of 3 roots sign the version after it:" in said
    trust = TrustFile.load(site.trust)
    ring = resolve_keys(trust, read_registry(site.state))
    assert (trust.threshold, len(trust.roots), ring.version) == (2, 3, 1)
    assert (site.state / "root.pem").exists() is False, "no root of the proxy's own"
    service = start(site)
    assert service.health()["registry_version"] == 1
    service.close()
    assert site.trust.with_name("keys.jsonl").read_bytes() == (site.state / "keys.jsonl").read_bytes()
    assert site.state.stat().st_mode & 0o777 == 0o700


def test_begun_again_it_says_the_same_and_changes_nothing(site: Site) -> None:
    files = site.signed(site.draft(), "anna", "cy")
    site.begin(files)
    before = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
    site.begin(files)
    assert {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()} == before
    site.trust.unlink()
    site.begin(files)
    assert site.trust.read_bytes() == before[site.trust], "one that was killed before its last step is gone on with"


class Killed(BaseException):
    pass


def test_a_begin_that_was_killed_at_any_step_is_given_again(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = site.signed(site.draft(), "anna", "cy")
    killed, drafted = 0, site.state
    for at in range(1, 200):
        folder = tmp_path_factory.mktemp("killed")
        site.state, site.trust = folder / "signer", folder / "trust.json"
        shutil.copytree(drafted, site.state)
        count = [0]

        def watch(real: Callable[..., Any], count: list[int] = count, at: int = at) -> Callable[..., Any]:
            def step(*args: Any, **more: Any) -> Any:
                count[0] += 1
                if count[0] == at:
                    raise Killed
                return real(*args, **more)

            return step

        with monkeypatch.context() as patch:
            for name in ("fsync", "fdatasync", "pwrite", "replace"):
                patch.setattr(os, name, watch(getattr(os, name)))
            try:
                site.begin(files)
            except Killed:
                killed += 1
        if count[0] < at:
            break
        site.begin(files)
        start(site).close()
    assert killed > 8


@pytest.mark.parametrize("names", [("anna",), ("bo",)])
def test_fewer_roots_than_must_agree_begin_nothing(site: Site, names: tuple[str, ...]) -> None:
    files = site.signed(site.draft(), *names)
    with pytest.raises(IntegrityError, match="signed by the pinned roots"):
        site.begin([*files, *files])
    assert "keys.jsonl" not in site.left()
    assert not site.trust.exists()


def test_another_document_that_its_own_roots_have_signed_is_not_begun(site: Site) -> None:
    """A first document names who may sign it: the key and the origin are right, the roots are a thief's."""
    honest = site.signed(site.draft(), "anna", "cy")
    (site.folder / "thief").mkdir()
    thief = Site(site.folder / "thief")
    thief.state = site.state
    with pytest.raises(IntegrityError, match="another document than the draft"):
        site.begin(thief.signed(thief.draft(), "anna", "cy"))
    assert "keys.jsonl" not in site.left()
    assert not site.trust.exists()
    site.begin(honest)


@pytest.mark.parametrize("command", ["first", "begin", "next", "install"])
def test_in_another_users_folder_nothing_is_written(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    files = site.signed(site.draft(), "anna", "cy")
    if command in ("next", "install"):
        site.begin(files)
    more = {
        "first": ["--origin-prefix", PREFIX, "--root", f"{site.folder / 'anna.pem.pub'}", "--threshold", "1"],
        "begin": ["--origin-prefix", PREFIX, "--draft", f"{site.folder / 'draft'}", *map(str, files)],
        "next": ["--fresh"],
        "install": list(map(str, files)),
    }[command]
    out = [] if command == "begin" else ["--out", str(site.folder / "out")]
    trust = [] if command == "first" else ["--trust", str(site.trust)]
    before = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert host.main([command, "--state", str(site.state), *trust, *out, *more]) == 2
    assert "the folder is another user's" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()} == before


def test_a_root_that_is_a_strangers_does_not_count(site: Site) -> None:
    draft = site.draft(roots=("anna", "bo"))
    with pytest.raises(IntegrityError):
        site.begin(site.signed(draft, "anna", "cy"))


@pytest.mark.parametrize(
    ("threshold", "roots"), [(0, HOLDERS), (4, HOLDERS), (-1, HOLDERS), (1, ("anna", "anna")), (2, ("bo", "bo"))]
)
def test_roots_that_cannot_agree_are_not_drafted(site: Site, threshold: int, roots: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="cannot agree"):
        site.draft(threshold=threshold, roots=roots)


def test_a_signing_key_does_not_vouch_for_itself(site: Site) -> None:
    site.draft()
    own = software.load(site.state / "key.pem").public_key
    path = site.folder / "anna.pem.pub"
    path.write_bytes(own.spki)
    with pytest.raises(Refused, match="vouch for itself"):
        site.draft()


def changed(**members: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda value: value | members


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(version=2), "version 2 of a registry"),
        (changed(prev_sha256="ab" * 32), "not the first"),
        (changed(keys=[]), "no key sign"),
        (lambda value: value | {"keys": [value["keys"][0] | {"assurance": "hsm"}]}, "the key here is"),
        (lambda value: value | {"keys": [value["keys"][0] | {"status": "retired"}]}, "the key here is"),
        (lambda value: value | {"keys": [value["keys"][0] | {"purposes": ["checkpoint"]}]}, "the key here is"),
        (
            lambda value: (
                value
                | {"keys": [value["keys"][0] | {"valid": [value["keys"][0]["valid"][0] | {"origin": "x.example/*"}]}]}
            ),
            "the key here is",
        ),
    ],
)
def test_what_is_no_first_registry_of_the_key_here_is_not_begun(
    site: Site, change: Callable[[dict[str, Any]], dict[str, Any]], said: str
) -> None:
    """Also where the roots have signed it: they may have been shown something else."""
    draft = site.draft()
    draft.write_bytes(canonical_bytes(change(json.loads(draft.read_bytes()))))
    with pytest.raises(Refused, match=said):
        site.begin(site.signed(draft, "anna", "bo"))
    assert "keys.jsonl" not in site.left()


def test_another_key_or_origin_than_the_one_that_was_drafted_is_not_begun(site: Site) -> None:
    files = site.signed(site.draft(), "anna", "bo")
    with pytest.raises(Refused, match="the key here is"):
        site.begin(files, "books.example/other/")
    (site.state / "key.pem").unlink()
    with pytest.raises(Refused, match="the key here is"):
        site.begin(files)


def test_where_a_registry_or_another_trust_file_stands_nothing_is_begun(site: Site) -> None:
    files = site.signed(site.draft(), "anna", "bo")
    site.trust.parent.mkdir()
    (site.folder / "other").mkdir()
    other = Site(site.folder / "other")
    other.trust = site.trust
    other.begin(other.signed(other.draft(), "anna", "bo"))
    pinned = site.trust.read_bytes()
    with pytest.raises(ConfigurationError, match="pins other roots"):
        site.begin(files)
    assert site.trust.read_bytes() == pinned
    site.trust.unlink()
    site.begin(files)
    site.trust.unlink()
    for act in (lambda: site.draft(), lambda: other_begun(site)):
        with pytest.raises(ConfigurationError, match="stands here already"):
            act()


def other_begun(site: Site) -> None:
    (site.folder / "second").mkdir()
    elsewhere = Site(site.folder / "second")
    draft = elsewhere.draft()
    elsewhere.state = site.state
    elsewhere.begin(elsewhere.signed(draft, "anna", "bo"))


def test_in_production_a_key_in_a_file_is_not_begun(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_ENV", "production")
    with pytest.raises(CounterfoilError, match="refused in production"):
        site.draft()
    assert not site.state.exists() or site.left() == set()


def test_a_draft_is_not_written_over_a_private_key(site: Site) -> None:
    root = site.folder / "anna.pem"
    before = root.read_bytes()
    words = ["first", "--state", str(site.state), "--origin-prefix", PREFIX, "--threshold", "1"]
    assert host.main([*words, "--root", f"{root}.pub", "--out", str(root)]) == 2
    assert root.read_bytes() == before
