"""The signer's folder with the proxy stopped: whoever changes keys is alone with them, and nothing is signed meanwhile.

Posting goes on without signatures for those seconds. The proxy starts again whatever happened, and follows the registry
that it then finds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger_core.errors import ConfigurationError
from ledger_core.log.dsse import Envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.runtime import Runtime
from ledger_core.services import SIGNING_PROXY, process_group, signing_service
from ledger_core.settings.signer import SignerSettings, load_signer_settings
from ledger_core.signing.folder import KEYS_FILE, STATE_FILE, hold_folder
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import read_registry

ATTEMPTS = 5
"""Another command may start the proxy between our stopping it and our taking its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The folder under its lock, and what its registry says to whom the home's trust file pins."""

    runtime: Runtime
    folder: Path
    state: WitnessState
    trust: TrustFile
    registry: list[Envelope]
    ring: KeyRing
    settings: SignerSettings

    @property
    def below(self) -> str:
        """The wildcard of the logs that are signed here."""
        return below(self.runtime)


def below(runtime: Runtime) -> str:
    """Return the wildcard of the logs that are signed for this home."""
    return f"{runtime.settings.origin_prefix.rstrip('/')}/*"


def signer_folder(runtime: Runtime) -> Path:
    """Return the signer's folder. Raises `ConfigurationError` where this home has none, or another host signs for it.

    Whatever changes keys asks this before it writes anything.
    """
    if runtime.settings.signing.url is not None:
        raise ConfigurationError(
            "the signing proxy of COUNTERFOIL_SIGNING__URL keeps the keys on its own host; changing them from here is "
            "not built yet.",
            remedy="Nothing was changed. See docs/runbooks/signing-proxy.md, 6.",
        )
    folder = runtime.home / "signer"
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
    try:
        with ExitStack() as stack:
            for attempt in range(1, ATTEMPTS + 1):
                group.stop(SIGNING_PROXY)
                try:
                    stack.enter_context(hold_folder(folder))
                    break
                except ConfigurationError:
                    if attempt == ATTEMPTS:
                        raise
                    time.sleep(0.1 * attempt)
            state = WitnessState(folder / STATE_FILE, create=False)
            stack.callback(state.close)
            trust, registry = TrustFile.load(runtime.trust_path), read_registry(folder)
            yield Desk(
                runtime=runtime,
                folder=folder,
                state=state,
                trust=trust,
                registry=registry,
                ring=resolve_keys(trust, registry),
                settings=load_signer_settings(),
            )
    finally:
        runtime.signer.close()
        group.ensure(signing_service(runtime.settings))
