"""Secrets of accounts at providers: added, listed by name, retired. Nothing here returns one.

A roll is an `add`, the provider's own roll, and a `retire`: in between both count. Written durably, for their owner and
group alone; nothing has to be started again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ingest.inbox.accounts import API_KEY, MAX_SECRETS, NAME, SECRETS, secret_files
from ingest.inbox.providers import find_provider
from ledger_core.base.files import private_folder, sync_folder, write_once
from ledger_core.errors import Conflict, InvalidInput, NotFound

MODE = 0o600


def list_secrets(folder: Path, provider: str, account: str) -> list[dict[str, str]]:
    """Return `name` and `since` of each secret that counts."""
    return [
        {"name": file.name, "since": datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")}
        for file in secret_files(_place(folder, provider, account))
    ]


def add_secret(folder: Path, provider: str, account: str, text: str, *, name: str | None = None) -> str:
    """Let `text` count as a secret of the account, and return its name. Raises `InvalidInput`, `Conflict`."""
    place, secret = _place(folder, provider, account), text.strip()
    known = find_provider(provider)
    if not known.check_secret(secret):
        raise InvalidInput(f"this is no secret of {provider}.", remedy=f"It is {known.secret_form}.")
    called = name or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    if not NAME.fullmatch(called):
        raise InvalidInput("a secret is called by letters, digits, `.`, `_` and `-`.")
    held = secret_files(place)
    if any(file.name == called for file in held):
        raise Conflict(f"there is a secret {called} already.", remedy="Give it another name.")
    if any(file.read_text().strip() == secret for file in held):
        raise Conflict("this secret counts already.")
    if len(held) >= MAX_SECRETS:
        raise Conflict(f"{MAX_SECRETS} secrets count already (MAX_SECRETS).", remedy="Retire those of past rolls.")
    private_folder(place)
    write_once(private_folder(place / SECRETS) / called, f"{secret}\n".encode(), mode=MODE)
    return called


def add_api_key(folder: Path, provider: str, account: str, text: str) -> str:
    """Keep `text` as the key by which objects are fetched, in place of the one before."""
    place, key = _place(folder, provider, account), text.strip()
    if not 8 <= len(key) <= 512 or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput("this is no API key.", remedy="One line, the key alone.")
    write_once(private_folder(place) / API_KEY, f"{key}\n".encode(), mode=MODE)
    return API_KEY


def retire_secret(folder: Path, provider: str, account: str, name: str, *, last: bool = False) -> int:
    """Let a secret count no more; return how many are left. Raises `NotFound`, and `Conflict` for the last one."""
    held = secret_files(_place(folder, provider, account))
    found = next((file for file in held if file.name == name), None)
    if found is None:
        raise NotFound(f"{provider}/{account} has no secret {name[:60]!r}.")
    if len(held) == 1 and not last:
        raise Conflict("it is the last one, and without it nothing is accepted.", remedy="Add the next one, or --last.")
    found.unlink()
    sync_folder(found.parent)
    return len(held) - 1


def _place(folder: Path, provider: str, account: str) -> Path:
    find_provider(provider)
    if not NAME.fullmatch(account):
        raise InvalidInput(f"{account[:60]!r} is no name of an account.", remedy="Letters, digits, `.`, `_` and `-`.")
    return folder / provider / account
