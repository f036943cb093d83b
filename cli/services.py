"""The processes of a home as one group: how each is started, what says that it serves, where it is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from ledger_core.base.engine import parse_url
from ledger_core.base.processes import ProcessGroup, Service
from ledger_core.errors import DependencyError
from ledger_core.services import (
    POSTGRES,
    embedded_url,
    postgres_service,
    process_group,
    running,
    signing_service,
)
from ledger_core.settings import Settings
from ledger_core.settings.child import child_environment

API, WORKER, WEBSERVER, DAEMON = "api", "worker", "dagster-webserver", "dagster-daemon"
RETURN_SECONDS = 6.0
"""How long an API that lives may take to find a database or a proxy that was started again."""
READY_SECONDS = 30.0
PROBE_SECONDS = 2.0
Progress = Callable[[str], None]


def start_everything(settings: Settings, *, progress: Progress | None = None) -> None:
    """Start what is not running, in the order of need; migrations and the book come with the first.

    Returns when the API can do its work. Raises `DependencyError` naming what it lacks.
    """
    from ingest.landing.erasable import LandedFiles
    from ledger_core.runtime import open_runtime
    from orchestration.dagster_home import write_dagster_home

    group = process_group(settings)
    before = group.find(POSTGRES)
    with open_runtime(settings, files=LandedFiles(), progress=progress) as runtime:
        runtime.ledger()
        write_dagster_home(settings.home, runtime.database_url, own_login=settings.database_url is None)
    after = group.find(POSTGRES)
    if before is not None and after is not None and before.address != after.address:
        # Its port was taken meanwhile: whoever was told the old one is started anew.
        for name in (DAEMON, WEBSERVER, WORKER, API):
            group.stop(name)
    services = (
        api_service(settings),
        worker_service(settings),
        webserver_service(settings),
        daemon_service(settings),
    )
    with ThreadPoolExecutor(len(services)) as pool:
        # Each takes seconds to import what it needs, and none needs another.
        list(pool.map(lambda service: group.ensure(service, progress=progress), services))
    _await_ready(settings, group, progress)


def _await_ready(settings: Settings, group: ProcessGroup, progress: Progress | None) -> None:
    """Wait until the API says that it can work; one that finds its way back too slowly is started once more."""
    service = api_service(settings)
    missing = _await_answer(f"{group.ensure(service).address}/readyz", RETURN_SECONDS)
    if missing is None:
        return
    group.stop(API)
    missing = _await_answer(f"{group.ensure(service, progress=progress).address}/readyz", READY_SECONDS)
    if missing is not None:
        raise DependencyError(
            f"the processes run, and the API is not ready: {missing}",
            remedy=f"Its log is {group.log_path(API)}; `counterfoil status` shows the processes.",
        )


def _await_answer(url: str, seconds: float) -> str | None:
    """Return None once `url` answers 200, else what it said last when `seconds` are over."""
    deadline = time.monotonic() + seconds
    while (said := _said_by(url)) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    return said


def _said_by(url: str) -> str | None:
    try:
        with urlopen(url, timeout=PROBE_SECONDS) as response:  # noqa: S310 - an address of ours on 127.0.0.1
            return None if response.status == 200 else f"it answers {response.status}"
    except HTTPError as error:
        try:
            return str(json.loads(error.read())["detail"])
        except (ValueError, KeyError, TypeError):
            return f"it answers {error.code}"
    except (URLError, OSError):
        return "it does not answer"


def stop_everything(settings: Settings) -> list[str]:
    """Stop all processes of the home, the last started first; return the names of those that were running."""
    group = process_group(settings)
    return [record.name for record in reversed(group.records()) if group.stop(record.name)]


def status_of(settings: Settings, *, secrets: bool = False) -> dict[str, Any]:
    """Return `processes` (name, pid, address, health) and `urls` (database, api, dagster, home).

    `secrets` shows the database's password, which otherwise stays out of terminals and their logs.
    """
    group = process_group(settings)
    services = {service.name: service for service in _services(settings)}
    processes = []
    for record in group.records():
        healthy = record.alive and services[record.name].healthy(record.address)
        health = "up" if healthy else ("unhealthy" if record.alive else "dead")
        processes.append({"name": record.name, "pid": record.pid, "address": record.address, "health": health})
    return {"processes": processes, "urls": _urls(settings, group, secrets=secrets)}


def _services(settings: Settings) -> list[Service]:
    # Also what a setting puts elsewhere: it may have been started before that was set.
    return [
        postgres_service(settings),
        signing_service(settings),
        api_service(settings),
        worker_service(settings),
        webserver_service(settings),
        daemon_service(settings),
    ]


def api_service(settings: Settings) -> Service:
    """Return how the API is started: one uvicorn worker on 127.0.0.1."""

    def start() -> tuple[subprocess.Popen[bytes], str]:
        port = settings.api.port or process_group(settings).last_port(API)
        arguments = [sys.executable, "-m", "api.server", "--host", "127.0.0.1", "--port", str(port)]
        if settings.api.health_port:
            arguments += ["--health-port", str(settings.api.health_port)]
        # The API is what a ledger's address leads to: it posts to none itself.
        own = settings.model_copy(update={"ledger_url": None, "ledger_token": None})
        # It wraps the keys of what webhooks said.
        process = process_group(settings).spawn(API, arguments, child_environment(own, lands=True))
        return process, f"http://127.0.0.1:{port}"

    return Service(name=API, start=start, healthy=lambda address: _answers(f"{address}/livez"))


def worker_service(settings: Settings) -> Service:
    """Return how the worker is started; it serves nothing, so being alive is its health."""

    def start() -> tuple[subprocess.Popen[bytes], str]:
        own = settings.model_copy(update={"ledger_url": None, "ledger_token": None})
        arguments = [sys.executable, "-m", "orchestration.worker"]
        # It opens what webhooks said.
        return process_group(settings).spawn(WORKER, arguments, child_environment(own, lands=True)), "-"

    return Service(name=WORKER, start=start, healthy=lambda _address: True)


def webserver_service(settings: Settings) -> Service:
    """Return how Dagster's webserver is started."""
    from orchestration.processes import webserver_command

    def start() -> tuple[subprocess.Popen[bytes], str]:
        port = settings.orchestration.port or process_group(settings).last_port(WEBSERVER)
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


def _urls(settings: Settings, group: ProcessGroup, *, secrets: bool) -> dict[str, str]:
    urls = {}
    database = running(group, POSTGRES)
    address = settings.database_url or (embedded_url(settings, database.address) if database is not None else None)
    if address is not None:
        url = parse_url(address).set(drivername="postgresql")
        if not secrets:
            url = url.difference_update_query(["password", "sslpassword"])
        urls["database"] = url.render_as_string(hide_password=not secrets)
    if settings.signing.url is not None:
        urls["signing-proxy"] = settings.signing.url
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
