"""How Dagster's two processes are started and how to tell that they serve; `counterfoil up` is what starts them."""

from __future__ import annotations

import sys

from ledger_core.settings import Settings
from ledger_core.settings.child import child_environment
from orchestration.dagster_home import FOLDER_NAME, dagster_environment

MODULE = "orchestration.definitions"


def webserver_command(
    settings: Settings, port: int, *, host: str = "127.0.0.1", read_only: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of the web server, which answers `/server_info` with 200 once it serves.

    It has no login of its own, so it stays on the loopback; `read_only` is for those who look and must not launch.
    """
    arguments = [sys.executable, "-m", "dagster_webserver", "-h", host, "-p", str(port), "-m", MODULE]
    return [*arguments, "--read-only"] if read_only else arguments, _environment(settings)


def daemon_command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of the daemon that ticks schedules, drains the queue and watches runs."""
    return [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE], _environment(settings)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment that runs launched from the UI inherit: they find home and database by it."""
    return child_environment(settings, lands=True) | dagster_environment(settings.home / FOLDER_NAME)
