"""What is asked of every keeper of a key that is not this process: a token, a KMS, a Vault.

Whatever goes wrong there has one name (`reason`) and one remedy, whoever the keeper is. Which reasons there are and
what did not happen is said by the room that asks, in a `Custody` of its own: signing and wrapping differ in their
remedies. Invariants: an error names its reason; a secret comes out of a file that its owner alone may read, and is
never repeated.
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

from ledger_core.errors import ConfigurationError, DependencyError

MAX_SECRET_BYTES = 4096
AT_ONCE = frozenset({"throttled", "slow", "unreachable", "failing"})
"""Reasons that may be over a moment later: asked again at once, the others never."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a reason asks for: the `remedy`, and whether asking again can help `later`."""

    remedy: str
    later: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """What a room says of the keepers that it asks: each reason with its remedy, and what did not happen."""

    troubles: Mapping[str, Trouble]
    outcome: str

    def unavailable(self, reason: str, keeper: str, said: object) -> DependencyError:
        """Return the error for `reason`; `keeper` names the key's place, `said` is what it answered."""
        trouble = self.troubles[reason]
        return DependencyError(
            f"{keeper}: {reason.replace('_', ' ')}: {str(said).rstrip('.') or 'no answer'}; {self.outcome}.",
            remedy=trouble.remedy,
            retryable=trouble.later,
            reason=reason,
        )

    def asked_again(self, open_anew: Callable[[], Answer], keeper: str) -> Answer:
        """Return what `open_anew` does, while requests wait: what the settings lack by now is a `DependencyError`."""
        try:
            return open_anew()
        except ConfigurationError as error:
            raise self.unavailable("misconfigured", keeper, error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a keeper is asked for one answer, and how long between: doubling, and drawn so that many spread."""

    attempts: int = 3
    wait_seconds: float = 0.1
    total_seconds: float = 5.0
    """No attempt begins after this; with the time-outs of one it stays below the signing client's 15 seconds."""
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
                if number == self.attempts or error.context.get("reason") not in AT_ONCE:
                    raise
                wait = self.wait_seconds * 2 ** (number - 1) * (1 + self.draw())
                if self.clock() - begun + wait > self.total_seconds:
                    raise
                self.sleep(wait)
        raise AssertionError("unreachable")


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
