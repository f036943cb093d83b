"""The processes of a home as one group: how each is started, what says that it serves, where it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from ledger_core.base.engine import parse_url
from ledger_core.base.processes import ProcessGroup, Service, free_port
from ledger_core.services import (
    POSTGRES,
    embedded_url,
    postgres_service,
    process_group,
    running,
    signing_service,
)
from ledger_core.settings import Settings, child_environment

API, WEBSERVER, DAEMON = "api", "dagster-webserver", "dagster-daemon"
Progress = Callable[[str], None]


def start_everything(settings: Settings, *, progress: Progress | None = None) -> None:
    """Start what is not running, in the order of need; migrations and the book come with the first."""
    from ledger_core.runtime import open_runtime
    from orchestration.dagster_home import write_dagster_home

    with open_runtime(settings, progress=progress) as runtime:
        runtime.ledger()
        write_dagster_home(settings.home, runtime.database_url)
    group = process_group(settings)
    services = (api_service(settings), webserver_service(settings), daemon_service(settings))
    with ThreadPoolExecutor(len(services)) as pool:
        # Each takes seconds to import what it needs, and none needs another.
        list(pool.map(lambda service: group.ensure(service, progress=progress), services))


def stop_everything(settings: Settings) -> list[str]:
    """Stop all processes of the home, the last started first; return the names of those that were running."""
    group = process_group(settings)
    return [record.name for record in reversed(group.records()) if group.stop(record.name)]


def status_of(settings: Settings) -> dict[str, Any]:
    """Return `processes` (name, pid, address, health) and `urls` (database, api, dagster, home)."""
    group = process_group(settings)
    services = {service.name: service for service in _services(settings)}
    processes = []
    for record in group.records():
        healthy = record.alive and services[record.name].healthy(record.address)
        health = "up" if healthy else ("unhealthy" if record.alive else "dead")
        processes.append({"name": record.name, "pid": record.pid, "address": record.address, "health": health})
    return {"processes": processes, "urls": _urls(settings, group)}


def _services(settings: Settings) -> list[Service]:
    return [
        postgres_service(settings),
        signing_service(settings),
        api_service(settings),
        webserver_service(settings),
        daemon_service(settings),
    ]


def api_service(settings: Settings) -> Service:
    """Return how the API is started: one uvicorn worker on 127.0.0.1."""

    def start() -> tuple[subprocess.Popen[bytes], str]:
        port = settings.api.port or free_port()
        arguments = [sys.executable, "-m", "api.server", "--host", "127.0.0.1", "--port", str(port)]
        process = process_group(settings).spawn(API, arguments, child_environment(settings))
        return process, f"http://127.0.0.1:{port}"

    return Service(name=API, start=start, healthy=lambda address: _answers(f"{address}/livez"))


def webserver_service(settings: Settings) -> Service:
    """Return how Dagster's webserver is started."""
    from orchestration.processes import webserver_command

    def start() -> tuple[subprocess.Popen[bytes], str]:
        port = settings.orchestration.port or free_port()
        arguments, environment = webserver_command(settings, port)
        process = process_group(settings).spawn(WEBSERVER, arguments, environment)
        return process, f"http://127.0.0.1:{port}"

    return Service(name=WEBSERVER, start=start, healthy=lambda address: _answers(f"{address}/server_info"))


def daemon_service(settings: Settings) -> Service:
    """Return how Dagster's daemon is started; it serves nothing, so being alive is its health."""
    from orchestration.processes import daemon_command

    def start() -> tuple[subprocess.Popen[bytes], str]:
        arguments, environment = daemon_command(settings)
        return process_group(settings).spawn(DAEMON, arguments, environment), "-"

    return Service(name=DAEMON, start=start, healthy=lambda _address: True)


def _urls(settings: Settings, group: ProcessGroup) -> dict[str, str]:
    urls = {}
    database = running(group, POSTGRES)
    if settings.database_url:
        urls["database"] = parse_url(settings.database_url).render_as_string(hide_password=True)
    elif database is not None:
        urls["database"] = embedded_url(settings, database.address).replace("+psycopg", "")
    if api := running(group, API):
        urls["api"] = api.address
    if webserver := running(group, WEBSERVER):
        urls["dagster"] = webserver.address
    return {**urls, "home": str(settings.home), "trust": str(settings.home / "trust.json")}


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 - an address of ours on 127.0.0.1
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
