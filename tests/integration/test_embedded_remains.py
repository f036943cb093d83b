"""What counts as a server that runs, and what is ended and removed when none does: over processes, without a Postgres.

With one: `test_embedded_postgres.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ledger_core.base import embedded_remains
from ledger_core.base.embedded_remains import clear_remains, standing_server

PORT = 54_321
STRANGER = 12_345
SERVER, CHILD = "/usr/lib/postgres", "postgres: checkpointer "
LOCKS = (f".s.PGSQL.{PORT}.lock", f".s.PGSQL.{PORT}")

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the locks of a server that is gone; its socket's stand in the folder above."""
    folder = tmp_path / "data"
    folder.mkdir()
    lock(folder, 2**22 + 1)
    for name in LOCKS:
        (tmp_path / name).write_text("1\n")
    return folder


def lock(data: Path, pid: int, state: str = "ready   ") -> None:
    lines = [str(pid), str(data), "1", str(PORT), str(data.parent), "127.0.0.1", "1 2", state]
    (data / "postmaster.pid").write_text("\n".join(lines) + "\n")


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a process that is called `title` and works in `folder`."""
    made = []

    def start(title: str, folder: Path, seconds: float = 60) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen([title, str(seconds)], executable=shutil.which("sleep"), cwd=folder))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()


def is_cleared(data: Path) -> bool:
    left = [path for path in (data / "postmaster.pid", *(data.parent / name for name in LOCKS)) if path.exists()]
    assert len(left) in (0, 3), left
    return not left


def clear(data: Path) -> None:
    clear_remains(data, data.parent, PORT)


def test_locks_in_a_folder_in_which_nobody_works_are_removed_and_nothing_else(data: Path) -> None:
    others = [data / "PG_VERSION", data.parent / ".s.PGSQL.1.lock", data.parent / ".s.PGSQL.1"]
    for path in others:
        path.write_text("1")
    clear(data)
    assert is_cleared(data)
    assert all(path.exists() for path in others)
    clear(data)
    clear(data.parent / "absent")


def test_children_that_do_not_notice_that_their_server_is_gone_are_ended(data: Path, run: Run) -> None:
    children = [run(CHILD, data), run("postgres: counterfoil counterfoil 127.0.0.1(1) SELECT", data)]
    began = time.monotonic()
    clear(data)
    assert not any(psutil.pid_exists(child.pid) for child in children)
    assert is_cleared(data)
    assert time.monotonic() - began >= embedded_remains.PATIENCE_SECONDS


def test_children_that_are_about_to_go_by_themselves_are_left_to_it(data: Path, run: Run) -> None:
    began = time.monotonic()
    run(CHILD, data, 0.2)
    clear(data)
    assert is_cleared(data)
    assert time.monotonic() - began >= 0.2, "it was not ended before"


@pytest.mark.parametrize("title", [SERVER, "postgres: odd"], ids=["by its name", "by the lock alone"])
def test_a_server_that_runs_keeps_its_locks_and_its_children_and_nobody_waits(data: Path, run: Run, title: str) -> None:
    server, child = run(title, data), run(CHILD, data)
    lock(data, server.pid)
    began = time.monotonic()
    clear(data)
    assert not is_cleared(data)
    assert (server.poll(), child.poll()) == (None, None)
    assert time.monotonic() - began < embedded_remains.PATIENCE_SECONDS


@pytest.mark.parametrize("title", [SERVER, "postgres", "something else"])
@pytest.mark.parametrize("has_lock", [True, False])
def test_a_server_whose_lock_names_another_or_is_gone_is_still_one(
    data: Path, run: Run, has_lock: bool, title: str
) -> None:
    server, child = run(title, data), run(CHILD, data)
    if not has_lock:
        (data / "postmaster.pid").unlink()
    clear(data)
    assert (server.poll(), child.poll()) == (None, None)
    assert (data / "postmaster.pid").exists() is has_lock
    assert (data.parent / LOCKS[0]).exists()


def test_one_that_does_not_say_what_it_is_is_no_child(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As between its start and its program's."""
    process = run(CHILD, data)
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _self: [])
    clear(data)
    assert process.poll() is None
    assert not is_cleared(data)


def test_nothing_that_works_elsewhere_is_ended_and_no_lock_is_its(data: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "base").mkdir()
    others = [run(CHILD, tmp_path), run(SERVER, tmp_path), run(CHILD, data / "base")]
    lock(data, others[0].pid)
    clear(data)
    assert [other.poll() for other in others] == [None] * 3
    assert is_cleared(data)


def test_a_child_that_died_and_that_nobody_asked_after_holds_nothing(data: Path, run: Run) -> None:
    zombie = run(SERVER, data, 0)
    lock(data, zombie.pid)
    time.sleep(0.3)
    clear(data)
    assert is_cleared(data)


def test_only_a_server_that_is_ready_and_works_in_the_folder_stands(data: Path, run: Run, tmp_path: Path) -> None:
    server, elsewhere = run(SERVER, data), run(SERVER, tmp_path)
    assert standing_server(data) is None, "the lock names one that is gone"
    lock(data, elsewhere.pid)
    assert standing_server(data) is None
    lock(data, server.pid, "starting")
    assert standing_server(data) is None
    lock(data, server.pid)
    assert standing_server(data) == (server.pid, PORT)
    lines = (data / "postmaster.pid").read_text().splitlines()
    for count in range(len(lines)):  # as it stands while it is being written
        (data / "postmaster.pid").write_text("\n".join(lines[:count]))
        assert standing_server(data) is None
    (data / "postmaster.pid").unlink()
    assert standing_server(data) is None


def test_a_folder_is_known_by_any_of_its_names(data: Path, run: Run, tmp_path: Path) -> None:
    server = run(SERVER, data)
    lock(data, server.pid)
    (tmp_path / "link").symlink_to(data)
    assert standing_server(tmp_path / "link") == (server.pid, PORT)
    clear_remains(tmp_path / "link", tmp_path, PORT)
    assert not is_cleared(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("name", "owner", "holds"),
    [("postgres", STRANGER, True), ("other", STRANGER, False), ("postgres", STRANGER + 1, False)],
)
def test_who_will_not_say_where_it_works_holds_a_lock_if_it_is_a_server_of_the_owner(
    name: str, owner: int, holds: bool
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "data").mkdir()
        lock(folder / "data", 2**22 + 1)
        for each in (folder, folder / "data", folder / "data/postmaster.pid"):
            os.chown(each, STRANGER, STRANGER)
        # Who may run a program and not read it is told nothing of its process, though it is his own.
        program = folder / name
        shutil.copy(str(shutil.which("sleep")), program)
        program.chmod(0o711)
        folder.chmod(0o755)
        process = subprocess.Popen([SERVER, "60"], executable=program, cwd="/", user=owner, group=owner)
        try:
            asking = os.fork()
            if asking == 0:
                os.setgid(STRANGER)
                os.setuid(STRANGER)
                clear(folder / "data")
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(asking, 0)[1]) == 0
            assert (folder / "data/postmaster.pid").exists() is holds
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()
