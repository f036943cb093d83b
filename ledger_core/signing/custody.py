"""What is asked of every keeper of a key that is not this process: a token, a KMS, a Vault.

Whatever goes wrong there has one name (`reason`) and one remedy, whoever the keeper is, and a runbook that lists them:
docs/runbooks/signing-backends.md. Not the choice among them, which is `open.py`'s. Invariants: a signature that the
key's own public half does not verify is never handed out; software that holds a key never passes for more; a secret
comes out of a file that its owner alone may read.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, InvalidInput
from ledger_core.log.dsse import pae
from ledger_core.log.note import PublicKey
from ledger_core.settings.environment import STRICT_ENVIRONMENTS
from ledger_core.signing.port import SigningBackend

RUNBOOK = "docs/runbooks/signing-backends.md"
PROBE_TYPE = "application/vnd.counterfoil.probe.v1+json"
"""The DSSE type of what is signed at the start, to see that the key is the one shown; nothing accepts it."""
MAX_SECRET_BYTES = 4096

Answer = TypeVar("Answer")
Backend = TypeVar("Backend", bound=SigningBackend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a reason asks for: the `remedy`, and whether asking again can help, at once (`now`) or later."""

    remedy: str
    later: bool = True
    now: bool = False


TROUBLES: Mapping[str, Trouble] = {
    "throttled": Trouble(remedy="Ask again; raise the quota, or find who else uses it up.", now=True),
    "slow": Trouble(remedy="Ask again; look at the network to it and at its load.", now=True),
    "unreachable": Trouble(remedy="Ask again; look at its address, its certificate and the network.", now=True),
    "failing": Trouble(remedy="Ask again; look at its own log or status page.", now=True),
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


def unavailable(reason: str, keeper: str, said: object) -> DependencyError:
    """Return the error for `reason`, one of `TROUBLES`; `keeper` names the key's place, `said` is what it answered."""
    trouble = TROUBLES[reason]
    return DependencyError(
        f"{keeper}: {reason.replace('_', ' ')}: {str(said).rstrip('.') or 'no answer'}; nothing was signed.",
        remedy=trouble.remedy,
        retryable=trouble.later,
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a keeper is asked for one signature, and how long between: doubling, and drawn so that many spread."""

    attempts: int = 3
    wait_seconds: float = 0.1
    total_seconds: float = 5.0
    """No attempt begins after this; with the time-outs of one it stays below the client's 15 seconds."""
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = secrets.SystemRandom().random

    def ask(self, attempt: Callable[[], Answer]) -> Answer:
        """Return what `attempt` returns, trying again where its error says that this may help at once."""
        begun = self.clock()
        for number in range(1, self.attempts + 1):
            try:
                return attempt()
            except DependencyError as error:
                if number == self.attempts or not TROUBLES[str(error.context.get("reason"))].now:
                    raise
                wait = self.wait_seconds * 2 ** (number - 1) * (1 + self.draw())
                if self.clock() - begun + wait > self.total_seconds:
                    raise
                self.sleep(wait)
        raise AssertionError("unreachable")


def asked_again(open_anew: Callable[[], Answer], keeper: str) -> Answer:
    """Return what `open_anew` does, while requests wait: what the settings lack by now is a `DependencyError` then."""
    try:
        return open_anew()
    except ConfigurationError as error:
        raise unavailable("misconfigured", keeper, error) from error


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


def read_secret(path: Path, what: str) -> str:
    """Return the one line in the file at `path`. Raises `ConfigurationError`, which never repeats it.

    A file that other users may read is refused; its group may, as a mounted secret's does.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigurationError(
            f"no {what}: {error.strerror}.", file=str(path), remedy="Put it into that file, mode 0400."
        ) from error
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_mode & 0o007:
            raise ConfigurationError(
                f"the {what} is no file that others cannot read: mode {state.st_mode & 0o777:04o}.",
                file=str(path),
                remedy="Make it a regular file, chmod 400, and change what others could read.",
            )
        data = os.read(handle, MAX_SECRET_BYTES + 1)
    finally:
        os.close(handle)
    try:
        secret = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        secret = ""
    if not secret or len(data) > MAX_SECRET_BYTES or not secret.isprintable():
        raise ConfigurationError(
            f"the {what} is not one line of text.", file=str(path), remedy="Write it alone into the file."
        )
    return secret
