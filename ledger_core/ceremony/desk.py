"""The signer's folder of a home with its proxy stopped: whoever changes keys is alone, and nothing is signed meanwhile.

Posting goes on without signatures for those seconds. The proxy starts again whatever happened, and follows the registry
that it then finds. Where the proxy runs on another host there is no such folder here: `host.py` is at hand there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger_core.ceremony.seat import Held
from ledger_core.ceremony.shown import FromHere
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.runtime import Runtime
from ledger_core.services import SIGNING_PROXY, process_group, signing_service
from ledger_core.signing.folder import KEYS_FILE, hold_folder

ATTEMPTS = 5
"""Another command may start the proxy between our stopping it and our taking its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk(Held):
    """The folder under its lock, and what its registry says to whom the home's trust file pins."""

    runtime: Runtime

    @property
    def below(self) -> str:
        """The wildcard of the logs that are signed here."""
        return below(self.runtime)

    @property
    def shown(self) -> FromHere:
        """What the database and the archive show."""
        return FromHere(self.runtime, self.ring)

    def now(self) -> datetime:
        """Return the time that documents of this change bear."""
        return self.runtime.clock()


def below(runtime: Runtime) -> str:
    """Return the wildcard of the logs that are signed for this home."""
    return f"{runtime.settings.origin_prefix.rstrip('/')}/*"


def is_elsewhere(runtime: Runtime) -> bool:
    """Say whether the proxy keeps its folder on another host."""
    return runtime.settings.signing.url is not None


def signer_folder(runtime: Runtime) -> Path:
    """Return the signer's folder. Raises `ConfigurationError` where this home has none, or another host signs for it.

    Whatever changes keys asks this before it writes anything.
    """
    if is_elsewhere(runtime):
        raise ConfigurationError(
            "the signing proxy of COUNTERFOIL_SIGNING__URL keeps the keys on its own host.",
            remedy="Nothing was changed. Draft here with --draft FILE, and install it there with `python -m "
            "ledger_core.ceremony.host install`: docs/runbooks/keys-on-another-host.md.",
        )
    folder = runtime.home / "signer"
    if not (folder / KEYS_FILE).exists():
        _ = runtime.signer  # a home's first start makes it
    if not (folder / KEYS_FILE).exists():
        raise ConfigurationError(
            "there is no key registry here.",
            file=str(folder),
            remedy="Run this where the signing proxy keeps its folder.",
        )
    return folder


@contextmanager
def at_desk(runtime: Runtime) -> Iterator[Desk]:
    """Stop the proxy, hold its folder, and start it again afterwards. Raises `ConfigurationError`."""
    folder = signer_folder(runtime)
    group = process_group(runtime.settings)
    with _begun_again(runtime), ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            group.stop(SIGNING_PROXY)
            try:
                stack.enter_context(hold_folder(folder))
                break
            except ConfigurationError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.1 * attempt)
        yield stack.enter_context(Desk.read(folder, runtime.trust_path, runtime=runtime))


@contextmanager
def _begun_again(runtime: Runtime) -> Iterator[None]:
    """Start the proxy afterwards; where the change itself failed, that is what is told."""
    group, service = process_group(runtime.settings), signing_service(runtime.settings)
    try:
        yield
    except BaseException:
        with suppress(DependencyError):
            runtime.let_go_of_signer()
            group.ensure(service)
        raise
    runtime.let_go_of_signer()
    group.ensure(service)
