"""What signing asks of every keeper of a key that is not this process: a token, a KMS, a Vault.

Whatever goes wrong there has one name (`reason`) and one remedy, whoever the keeper is, and a runbook that lists them:
docs/runbooks/signing-backends.md. How a keeper is reached stands in `base.keepers`; the choice among them is
`open.py`'s. Invariants: a signature that the key's own public half does not verify is never handed out; software that
holds a key never passes for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ledger_core.base.keepers.custody import Custody, Trouble
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, InvalidInput
from ledger_core.log.dsse import pae
from ledger_core.log.note import PublicKey
from ledger_core.settings.environment import STRICT_ENVIRONMENTS
from ledger_core.signing.port import SigningBackend

RUNBOOK = "docs/runbooks/signing-backends.md"
PROBE_TYPE = "application/vnd.counterfoil.probe.v1+json"
"""The DSSE type of what is signed at the start, to see that the key is the one shown; nothing accepts it."""

Backend = TypeVar("Backend", bound=SigningBackend)

TROUBLES: Mapping[str, Trouble] = {
    "throttled": Trouble(remedy="Ask again; raise the quota, or find who else uses it up."),
    "slow": Trouble(remedy="Ask again; look at the network to it and at its load."),
    "unreachable": Trouble(remedy="Ask again; look at its address, its certificate and the network."),
    "failing": Trouble(remedy="Ask again; look at its own log or status page."),
    "sealed": Trouble(remedy="Unseal it; signing goes on by itself."),
    "session_lost": Trouble(remedy="Ask again: the next request logs in anew."),
    "token_absent": Trouble(remedy="Put the token back, or name the right one."),
    "credentials": Trouble(remedy="Renew what the proxy logs in with; the next request reads it again."),
    "pin_wrong": Trouble(remedy="Put the right PIN into the file; it is read again, a refused one never tried twice."),
    "pin_locked": Trouble(remedy="Have the token's officer unlock the PIN, then write the file anew.", later=False),
    "denied": Trouble(remedy=f"Give the proxy's role what the policy in {RUNBOOK} lists.", later=False),
    "not_found": Trouble(remedy="Name the key that the registry holds, or restore it.", later=False),
    "disabled": Trouble(remedy="Enable the key, cancel its deletion, or rotate to another.", later=False),
    "wrong_region": Trouble(remedy="Name the key and the endpoint of one region.", later=False),
    "wrong_key": Trouble(remedy="Name a signing key, ECDSA P-256 or Ed25519.", later=False),
    "too_long": Trouble(remedy="Use a P-256 key, of whose messages only the hash is sent.", later=False),
    "misconfigured": Trouble(remedy="Mend the setting or the file; the next request reads it again."),
    "forked": Trouble(remedy="Open the key in the process that signs.", later=False),
}
"""Why nothing was signed, by name."""


SIGNING = Custody(troubles=TROUBLES, outcome="nothing was signed")


def unavailable(reason: str, keeper: str, said: object) -> DependencyError:
    """Return the error for `reason`, one of `TROUBLES`; `keeper` names the key's place, `said` is what it answered."""
    return SIGNING.unavailable(reason, keeper, said)


def read_public(spki: bytes, keeper: str) -> PublicKey:
    """Return the public key in `spki`. Raises `ConfigurationError` for one of another algorithm than the log's two."""
    try:
        return PublicKey(spki)
    except InvalidInput as error:
        raise ConfigurationError(f"{keeper}: {error.message}", remedy=error.remedy) from error


def checked(key: PublicKey, message: bytes, signature: bytes, keeper: str) -> bytes:
    """Return `signature` if `key` verifies it over `message`. Raises `IntegrityError`."""
    # Keepers differ in hashing and in encoding, emulators hash twice, and an alias, a label, a slot can be moved.
    if not key.verify(message, signature):
        raise IntegrityError(
            f"{keeper}: the signature that came back is not one of key {key.key_id[:16]}; it was thrown away.",
            remedy="Stop the proxy: the key was exchanged, or what answers is not what it says it is.",
        )
    return signature


def probed(backend: Backend) -> Backend:
    """Return `backend` once it has signed what nothing accepts: a public half of another key is found before it is
    published."""
    backend.sign(pae(PROBE_TYPE, b"{}"))
    return backend


def refuse_software(env: str, what: str) -> None:
    """Raise `ConfigurationError` where a key that software holds is no protection at all."""
    if env in STRICT_ENVIRONMENTS:
        raise ConfigurationError(
            f"{what} is refused in {env}.", remedy="Configure a KMS or HSM back-end, or leave COUNTERFOIL_ENV out."
        )
