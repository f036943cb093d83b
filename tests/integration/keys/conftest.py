"""A company whose keys change: real proxy process, real database, real archive; and somebody who kills what is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.processes import ProcessGroup
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.record import Done
from ledger_core.ceremony.run import change_now, listing
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.note import Checkpoint, NoteSignature, SignedNote, checkpoint_text, parse_checkpoint, parse_note
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.signing.backends.software import SoftwareKey, load
from tests.conftest import fresh_database, stop_all

ME = Actor(subject="keeper")
ROTATE = Wish(action="rotate")


class Company:
    """A runtime with a book, what an auditor was given at the start, and its nights."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.origin = runtime.settings.origin_of("main")
        self.signer = runtime.home / "signer"
        self._nights = 0
        self._posts = 0
        self.post()
        self.first_trust = folder / "auditor.json"
        self.first_trust.write_bytes(runtime.trust_path.read_bytes())

    def post(self) -> int:
        """Append a record and wait for its signature; return the size that is signed."""
        self._posts += 1
        draft = RecordDraft(kind="security_event", body={"what": f"event {self._posts}"})
        return self.runtime.ledger().append([draft], Ask(actor=ME)).size

    def night(self) -> None:
        self._nights += 1
        export_segment(self.runtime, closed_on=date(2026, 1, 1) + timedelta(days=self._nights), book="main")

    def rotate(self) -> Done:
        return change_now(self.runtime, ROTATE, actor=ME)

    def compromise(self, **more: Any) -> Done:
        return change_now(self.runtime, Wish(action="compromise", **more), actor=ME)

    def signing_key(self) -> SoftwareKey:
        """The key that signs, as whoever steals its file has it."""
        return load(self.signer / "key.pem")

    def checkpoint_path(self) -> Path:
        """Where the archive keeps a night's checkpoint: of the only night, where there was one."""
        return next((self.runtime.home / "archive").rglob("checkpoint"))

    def archived(self) -> Checkpoint:
        return parse_checkpoint(parse_note(self.checkpoint_path().read_text()).text)

    def key_id(self) -> str:
        return str(self.runtime.signer.health()["key_id"])

    def keys(self) -> dict[str, dict[str, Any]]:
        return {item["key_id"]: item for item in listing(self.runtime)["keys"]}

    def version(self) -> int:
        return int(listing(self.runtime)["version"])

    def record(self, seq: int) -> dict[str, Any]:
        with self.runtime.engine.connect() as connection:
            row = connection.exec_driver_sql("select canonical from ledger.records where seq = %s", (seq,)).one()
        return dict(json.loads(bytes(row[0]))["body"])

    def require_sound(self) -> None:
        """The database, the archive, and what an auditor of the first day sees."""
        self.night()
        report = verify_path(self.runtime.home / "archive", self.first_trust)
        assert report.verdict == "verified", report.as_lines()
        check = check_book(self.runtime, "main")
        assert not check.findings, check.as_lines()


def note_by(key: SoftwareKey, origin: str, size: int, root: bytes) -> str:
    """A checkpoint that `key` signs of whatever tree whoever holds it likes."""
    text = checkpoint_text(origin, size, root)
    return str(SignedNote(text, (NoteSignature(origin, key.public_key.note_hash(origin), key.sign(text.encode())),)))


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    return Company(runtime, tmp_path)


@contextmanager
def open_company(postgres: tuple[EmbeddedPostgres, int], folder: Path) -> Iterator[Company]:
    """A company for as long as the caller likes, in `folder`; `company` is one of a single test."""
    home = folder / "home"
    with fresh_database(postgres) as url:
        try:
            with open_runtime(Settings(home_path=home, database_url=url, env="test", actor="test")) as runtime:
                yield Company(runtime, folder)
        finally:
            stop_all(home)


class Killed(BaseException):
    """What is raised where a process would be killed."""


class Killer:
    """Let the nth durable step of this process be its last; `counted` are those since it was armed."""

    error = Killed

    def __init__(self) -> None:
        self.counted = 0
        self._at: int | None = None

    def arm(self, at: int | None) -> None:
        self.counted, self._at = 0, at

    def watch(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            if self._at is not None:
                self.counted += 1
                if self.counted >= self._at:
                    raise Killed
            return real(*args, **more)

        return run

    def spare(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """What is killed is the change of keys; how processes are started has tests of its own."""

        def run(*args: Any, **more: Any) -> Any:
            at, self._at = self._at, None
            try:
                return real(*args, **more)
            finally:
                self._at = at

        return run


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    made = Killer()
    for name in ("fsync", "fdatasync", "replace", "unlink"):
        monkeypatch.setattr(os, name, made.watch(getattr(os, name)))
    monkeypatch.setattr(ProcessGroup, "ensure", made.spare(ProcessGroup.ensure))
    yield made
    made.arm(None)
