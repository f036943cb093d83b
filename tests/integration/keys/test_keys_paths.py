"""Every path that a `keys` command takes or finds: missing, a folder, a file, another user's. One line, exit 2."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import cli.main
from ledger_core.ceremony import host, offline
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.run import make_draft
from ledger_core.services import process_group, signing_service
from ledger_core.signing import calls, proxy, recover
from tests.integration.keys.conftest import Company, open_company

pytestmark = pytest.mark.integration

Run = Callable[..., str]
NOBODY = 65534


class Companies:
    """One company for all cases, whose proxy runs as each begins; another as soon as a case changed its keys."""

    def __init__(self, postgres: Any, folders: pytest.TempPathFactory) -> None:
        self._postgres, self._folders = postgres, folders
        self._stack = ExitStack()
        self._company: Company | None = None
        self._says: dict[str, bytes] = {}

    def take(self) -> Company:
        if self._company is None:
            folder = self._folders.mktemp("company")
            self._company = self._stack.enter_context(open_company(self._postgres, folder))
            self._says = documents_of(self._company)
        settings = self._company.runtime.settings
        process_group(settings).ensure(signing_service(settings))
        return self._company

    def give_back(self) -> None:
        if self._company is None:
            return
        (self._company.signer / "next.pem").unlink(missing_ok=True)  # a draft's, which ends nothing
        if documents_of(self._company) != self._says:
            self.close()

    def close(self) -> None:
        self._company = None
        self._stack.close()


def documents_of(company: Company) -> dict[str, bytes]:
    """Keys, registry, trust file, and what a change leaves half made: no case may find another's."""
    kept = [*company.signer.iterdir(), company.runtime.trust_path]
    return {path.name: path.read_bytes() for path in kept if path.suffix in (".json", ".jsonl", ".pem", ".pub")}


@pytest.fixture(scope="module")
def companies(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    made = Companies(postgres, tmp_path_factory)
    yield made
    made.close()


@pytest.fixture
def company(companies: Companies) -> Iterator[Company]:
    yield companies.take()
    companies.give_back()


@pytest.fixture
def desk(company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The company's home in the environment, and a desk with a root, a draft and what stands in the way."""
    runtime = company.runtime
    monkeypatch.setenv("COUNTERFOIL_HOME", str(runtime.home))
    monkeypatch.setenv("DATABASE_URL", runtime.database_url)
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    made = tmp_path / "desk"
    made.mkdir()
    monkeypatch.chdir(made)
    offline.make_root(made / "root.pem")
    (made / "a-folder").mkdir()
    (made / "a-file").write_text("text")
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the console script in this process; return the one line that it said on the error stream."""

    def run_it(*words: str, status: int = 2) -> str:
        monkeypatch.setattr(sys, "argv", ["counterfoil", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main.main()
        said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("counterfoil: ")]
        assert ended.value.code == status, (words, said)
        assert len(said) == 1, said
        return said[0]

    return run_it


OUT = ["missing/out", "a-folder", "a-file/out"]
IN = ["missing", "a-folder", "a-file/in", "a-file"]
WORDS = [
    *(("rotate", "--draft", path) for path in OUT),
    *(("revoke", "--draft", path) for path in OUT),
    *(("compromise", "--draft", path) for path in OUT),
    *(("roots", "--threshold", "1", "--add-root", "root.pem.pub", "--draft", path) for path in OUT),
    *(("roots", "--add-root", path, "--draft", "out") for path in IN),
    *(("rotate", "--add-root", path, "--draft", "out") for path in IN),
    *(("rotate", "--next", path, "--draft", "out") for path in IN),
    *(("compromise", "--known-checkpoint", path, "--draft", "out") for path in IN),
    *(("install", path) for path in IN),
    *(("tell", path) for path in IN),
    *(("trust", "--out", path) for path in (*OUT, "keys.jsonl")),
    *(("make-root", path) for path in OUT),
    *(("sign-root", "--key", path, "--draft", "a-file", "--out", "out") for path in IN),
    *(("sign-root", "--key", "root.pem", "--draft", path, "--out", "out") for path in IN),
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_path_that_leads_nowhere_is_a_line_and_exit_2(desk: Path, run: Run, words: tuple[str, ...]) -> None:
    said = run("keys", *words)
    assert len(said) > len("counterfoil: "), said
    assert not (desk / "out").exists()
    assert sorted(path.name for path in desk.iterdir()) == ["a-file", "a-folder", "root.pem", "root.pem.pub"]


@pytest.mark.parametrize("out", OUT)
def test_a_signature_that_cannot_be_written_is_a_line_and_exit_2(
    company: Company, desk: Path, run: Run, out: str
) -> None:
    (desk / "draft").write_bytes(make_draft(company.runtime, Wish(action="rotate")))
    run("keys", "sign-root", "--key", "root.pem", "--draft", "draft", "--out", out)


@pytest.mark.parametrize("command", [("list",), ("rotate",), ("rotate", "--draft", "out"), ("trust", "--out", "out")])
# A home without a registry has its first start: tests/integration/test_signing_proxy_memory.py.
@pytest.mark.parametrize(
    ("part", "becomes"),
    [
        (part, becomes)
        for part in ("signer/keys.jsonl", "signer/state.sqlite", "trust.json")
        for becomes in ("a folder", "nothing", "text")
        if (part, becomes) != ("signer/keys.jsonl", "nothing")
    ],
)
def test_a_part_of_the_home_that_is_no_such_part_is_a_line_and_no_traceback(
    desk: Path, companies: Companies, run: Run, command: tuple[str, ...], part: str, becomes: str
) -> None:
    home = companies.take().runtime.home
    path, aside = home / part, home / "aside"
    path.rename(aside)
    if becomes == "a folder":
        path.mkdir()
    elif becomes == "text":
        path.write_text("text")
    try:
        if part == "signer/state.sqlite" and command[0] == "trust":
            return  # which needs no memory
        run("keys", *command)
    finally:
        if path.is_dir():
            path.rmdir()
        aside.rename(path)
        if part == "signer/state.sqlite":
            companies.close()  # no case begins with the memory that another one put aside


@pytest.fixture
def anothers(company: Company, desk: Path) -> Iterator[Path]:
    """The home, whose signer's folder is another user's."""
    home = company.runtime.home
    folder = home / "signer"
    if os.geteuid() != 0:
        folder.chmod(0)
        yield home
        folder.chmod(0o700)
        return
    os.chown(folder, NOBODY, NOBODY)
    with without_roots_rights():
        yield home
    os.chown(folder, 0, 0)


@contextmanager
def without_roots_rights() -> Iterator[None]:
    """Be a root who may enter only what is his: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the third version of the call, this thread
    kept = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, of the lower and of the upper 32
    assert libc.capget(header, kept) == 0, os.strerror(ctypes.get_errno())
    less = (ctypes.c_uint32 * 6)(kept[0] & ~(1 << 1 | 1 << 2), *kept[1:])
    assert libc.capset(header, less) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.capset(header, kept) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.parametrize(
    "command",
    [("list",), ("rotate",), ("revoke",), ("compromise",), ("rotate", "--draft", "out"), ("trust", "--out", "out")],
    ids=" ".join,
)
def test_another_users_signer_folder_is_a_line_and_no_traceback(
    desk: Path, anothers: Path, run: Run, command: tuple[str, ...]
) -> None:
    assert "signer" in run("keys", *command)


def first(state: str, root: str) -> tuple[str, ...]:
    return ("first", "--state", state, "--origin-prefix", "a/b/", "--root", root, "--threshold", "1", "--out", "out")


PROGRAMS: list[tuple[Callable[[list[str]], int], tuple[str, ...]]] = [
    *((host.main, first(path, "root.pem.pub")) for path in ("a-file", "a-file/x")),
    *((host.main, first("s", path)) for path in IN),
    *(
        (host.main, ("begin", "--state", "s", "--trust", "t", "--origin-prefix", "a/b/", "--draft", "d", path))
        for path in IN
    ),
    *((host.main, ("next", "--state", path, "--trust", "t", "--out", "out")) for path in IN),
    *((host.main, ("install", "--state", path, "--trust", "t", "--out", "out", "a-file")) for path in IN),
    *((recover.main, ("--state", path, "--trust", "t", "--checkpoint", "a-file")) for path in IN),
    *((calls.main, ("--state", path)) for path in IN),
    *(
        (proxy.main, ("--socket", "s/sock", "--state", path, "--trust", "t", "--origin-prefix", "a/b/"))
        for path in ("a-file", "a-file/x")
    ),
    *((offline.main, ("sign", "--key", "root.pem", "--draft", path, "--out", "out")) for path in IN),
    *((offline.main, ("make-root", path)) for path in OUT),
]


@pytest.mark.parametrize(
    ("program", "words"),
    PROGRAMS,
    ids=lambda item: " ".join(item) if isinstance(item, tuple) else item.__module__.rpartition(".")[2],
)
def test_the_programs_of_the_proxys_host_say_it_in_a_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    program: Callable[[list[str]], int], words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    offline.make_root(tmp_path / "root.pem")
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").write_text("text")
    assert program(list(words)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
