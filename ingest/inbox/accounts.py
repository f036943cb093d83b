"""The accounts at providers that send webhooks: their secrets, the key of the provider's API, and what is done with
events.

A folder each, `<provider>/<account>/`: `secrets/` with a file for each secret that counts (two during a roll), `api-
key` for fetching objects, `account.yaml` for the rest. Read again when a file changed, so that a roll needs no
restart. Invariants: a secret that everybody may read is refused, and no error repeats one; without a secret nothing
is accepted.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ingest.inbox.policy import LEAVE, POST, Policy, read_policy
from ledger_core.errors import ConfigurationError, DeliveryRefused

SETTINGS, API_KEY, SECRETS, AUTHORITIES = "account.yaml", "api-key", "secrets", "authorities.pem"
MAX_FILE_BYTES = 64 * 1024
MAX_SECRETS = 8
LOOK_SECONDS = 1.0
"""How long what was read counts before its files are looked at again."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KNOWN = frozenset({"book", "policy", "chart", "tolerance_seconds", "api_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """One account at a provider, as its folder says."""

    provider: str
    account: str
    folder: Path
    secrets: tuple[str, ...] = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    book: str | None = None
    """Where its events are posted; None for the installation's default."""
    policy: Policy = field(default_factory=Policy)
    chart: Mapping[str, str] = field(default_factory=dict)
    """By the role that a template speaks of: an account's code, in which `{currency}` and `{account}` are filled in."""
    tolerance_seconds: int | None = None
    api_url: str | None = None
    """The provider's API, where it is not the public one."""
    authorities: Path | None = None
    """Who vouches for the provider's certificates, where not those whom the system trusts."""

    @property
    def settings_path(self) -> Path:
        return self.folder / SETTINGS

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.account}"

    def choice(self, type: str) -> str:
        """Return what is done with events of `type`: as the policy says, else posted once a secret is set."""
        return self.policy.of(type) or (POST if self.secrets else LEAVE)


class Accounts:
    """All accounts below `folder`. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str], tuple[float, object, ProviderAccount]] = {}

    def find(self, provider: str, account: str) -> ProviderAccount:
        """Return one that has a secret. Raises `DeliveryRefused` where there is none, `ConfigurationError`."""
        found = self.look_up(provider, account)
        if found is None or not found.secrets:
            raise DeliveryRefused(
                "no webhook is expected here.",
                reason="unknown_account",
                remedy="Give the account a secret: `counterfoil webhooks secrets add`.",
            )
        return found

    def look_up(self, provider: str, account: str) -> ProviderAccount | None:
        """Return one by name, with or without a secret, or None. Raises `ConfigurationError`."""
        if not NAME.fullmatch(provider) or not NAME.fullmatch(account):
            return None
        now = time.monotonic()
        with self._lock:
            known = self._read.get((provider, account))
        if known is not None and now - known[0] < LOOK_SECONDS:
            return known[2]
        folder = self.folder / provider / account
        if not folder.is_dir():
            # Not remembered: whoever asks for names that are none must not make a table of them.
            return None
        state = _state_of(folder)
        found = known[2] if known is not None and known[1] == state else read_account(folder)
        with self._lock:
            self._read[provider, account] = (now, state, found)
        return found

    def every(self) -> list[ProviderAccount]:
        """Return all, in order. Raises `ConfigurationError`."""
        folders = sorted(path for path in self.folder.glob("*/*") if path.is_dir() and NAME.fullmatch(path.name))
        return [found for path in folders if (found := self.look_up(path.parent.name, path.name)) is not None]


def read_account(folder: Path) -> ProviderAccount:
    """Return what `folder` says. Raises `ConfigurationError` naming the file."""
    given = _read_settings(folder / SETTINGS)
    path = str(folder / SETTINGS)
    chart = given.get("chart", {})
    if not isinstance(chart, dict) or not all(isinstance(text, str) for pair in chart.items() for text in pair):
        raise ConfigurationError("`chart` must map roles to codes of accounts.", file=path)
    tolerance = given.get("tolerance_seconds")
    if tolerance is not None and (type(tolerance) is not int or not 1 <= tolerance <= 86_400):
        raise ConfigurationError("`tolerance_seconds` must be a whole number of 1 to 86400.", file=path)
    return ProviderAccount(
        provider=folder.parent.name,
        account=folder.name,
        folder=folder,
        secrets=tuple(_read_secret(file) for file in secret_files(folder)),
        api_key=_read_secret(folder / API_KEY) if (folder / API_KEY).exists() else None,
        book=_text(given, "book", path),
        policy=read_policy(given.get("policy"), file=path),
        chart=chart,
        tolerance_seconds=tolerance,
        api_url=_text(given, "api_url", path),
        authorities=folder / AUTHORITIES if (folder / AUTHORITIES).exists() else None,
    )


def secret_files(folder: Path) -> list[Path]:
    """Return the files of the secrets that count; names with a dot before them are a mount's own."""
    found = sorted(path for path in (folder / SECRETS).glob("*") if not path.name.startswith(".") and path.is_file())
    if len(found) > MAX_SECRETS:
        raise ConfigurationError(
            f"{len(found)} secrets; {MAX_SECRETS} are the most (MAX_SECRETS).",
            file=str(folder / SECRETS),
            remedy="Retire those that the provider signs with no more.",
        )
    return found


def _read_secret(path: Path) -> str:
    if path.stat().st_mode & 0o007:
        raise ConfigurationError("a secret that everybody may read.", file=str(path), remedy=f"chmod o-rwx {path}")
    text = path.read_bytes()[: MAX_FILE_BYTES + 1].decode("utf-8", errors="replace").strip()
    if not text or len(text) > 4096 or not text.isprintable():
        raise ConfigurationError("there is no secret in it.", file=str(path), remedy="One line, the secret alone.")
    return text


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        given = yaml.safe_load(path.read_bytes()[: MAX_FILE_BYTES + 1]) or {}
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = None if line is None else line + 1
        raise ConfigurationError("this is no YAML.", file=str(path), line=where, remedy="Mend it.") from error
    if not isinstance(given, dict):
        raise ConfigurationError("it must be a mapping.", file=str(path))
    unknown = sorted(str(name) for name in set(given) - _KNOWN)
    if unknown:
        raise ConfigurationError(
            f"unknown key {unknown[0][:40]!r}.", file=str(path), remedy=f"Known are {', '.join(sorted(_KNOWN))}."
        )
    return given


def _text(given: Mapping[str, Any], name: str, path: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"`{name}` must be a text.", file=path)
    return value


def _state_of(folder: Path) -> object:
    """Return what changes when something in `folder` does: a mount replaces links, an editor files."""
    files = [folder / SETTINGS, folder / API_KEY, folder / AUTHORITIES, *secret_files(folder)]
    return tuple(
        (str(path), stands.st_mtime_ns, stands.st_ino, stands.st_size, stands.st_mode)
        for path in files
        if path.exists()
        for stands in [path.stat()]
    )
