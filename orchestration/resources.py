"""The one resource of the graph: the runtime, opened for a run and holding the close's lock while the run lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg

from ingest.landing.erasable import LandedFiles
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from orchestration.lock import one_close

LOCK_WAIT_SECONDS = 600.0
"""A run of the queue may wait for a close from the command line to end; a close takes minutes at most."""


def runtime_resource(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource `runtime`: a `Runtime` on the home that `settings` name."""

    @dg.resource(description="Database, signing proxy, stores and clock of one home; holds the close's lock.")
    def runtime(_context: dg.InitResourceContext) -> Iterator[Runtime]:
        with (
            open_runtime(settings, files=LandedFiles()) as opened,
            one_close(opened.engine, wait_seconds=LOCK_WAIT_SECONDS),
        ):
            yield opened

    return runtime


def given_runtime(runtime: Runtime) -> dg.ResourceDefinition:
    """Return the resource of a process that has opened its runtime and taken the lock already."""
    return dg.ResourceDefinition.hardcoded_resource(runtime)


def progress_resource() -> dg.ResourceDefinition:
    """Return the resource `progress` of a run in the UI: the steps' own log says where they are."""
    return dg.ResourceDefinition.hardcoded_resource(None)


def given_progress(progress: Callable[[str], None] | None) -> dg.ResourceDefinition:
    """Return the resource `progress` of a close on a terminal."""
    return dg.ResourceDefinition.hardcoded_resource(progress)
