"""How commands open the ledger's runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger_core.settings import Settings, load_settings
from ledger_core.settings.strict import refuse_what_is_weak

if TYPE_CHECKING:
    from ledger_core.actor import Actor
    from ledger_core.runtime import Runtime


def settings_for(book: str | None = None, *, create_home: bool = False, lenient: bool = False) -> Settings:
    """Return the settings; `create_home` lets `up` and `demo` make a `.counterfoil` here.

    Raises `ConfigurationError` for what staging and production refuse, before anything is made or started; `lenient`
    is for the one command that only takes away.
    """
    settings = load_settings(book=book)
    if not lenient:
        refuse_what_is_weak(settings)
    if create_home and settings.home_path is None:
        from pathlib import Path

        from ledger_core.settings import HOME_FOLDER_NAME, find_home

        home = find_home(Path.cwd()) or Path.cwd() / HOME_FOLDER_NAME
        home.mkdir(mode=0o700, exist_ok=True)
        settings = load_settings(book=book, home_path=home)
    return settings


@contextmanager
def opened(book: str | None = None, *, quiet: bool = False, signer: bool = True) -> Iterator[Runtime]:
    """Open the runtime, starting what it lacks; without `signer` the proxy is left alone until it is needed."""
    from contextlib import ExitStack

    from cli.output import progress
    from ingest.landing.erasable import LandedFiles
    from ledger_core.runtime import open_runtime

    settings = settings_for(book)
    with ExitStack() as stack:
        # The bar of the start ends when the runtime stands: the command's own comes after it.
        with progress("starting", quiet=quiet) as update:
            runtime = stack.enter_context(open_runtime(settings, files=LandedFiles(), progress=update, signer=signer))
        yield runtime


def operator(settings: Settings) -> Actor:
    """Return who stands in the records that this command appends."""
    from ledger_core.actor import Actor

    return Actor(subject=settings.actor, role="operator")
