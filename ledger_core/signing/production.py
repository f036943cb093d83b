"""What staging and production refuse of the proxy: each by name, all at once, before a file is made or a key reached.

Not which back-end may sign, which is its own to say, nor whether the roots have signed its key, which is asked when the
registry is read. But there must be one: nothing is made up here that development makes at its first start.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ledger_core.errors import ConfigurationError
from ledger_core.log.object_tree import Place
from ledger_core.settings.environment import STRICT_ENVIRONMENTS, variable_of
from ledger_core.settings.signer import BACKEND_VARIABLE, PLACES, SignerSettings, weak_environment
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE, ROOT_FILE

_PRIVATE = (b"PRIVATE KEY-----",)
_MAX_LOOK_BYTES = 64 * 1024


def refuse_what_is_weak(
    settings: SignerSettings, folder: Path, trust_path: Path, *, socket_path: Path | None, archive: Place | None
) -> None:
    """Return where development is allowed, or nothing is weak. Raises `ConfigurationError` that names everything."""
    if settings.env not in STRICT_ENVIRONMENTS:
        return
    found = list(_weaknesses(settings, folder, trust_path, socket_path, archive))
    if found:
        raise ConfigurationError(
            f"refused in {settings.env}: {'; '.join(found)}.",
            remedy="Mend each of them; nothing was started.",
            refused=found,
        )


def _weaknesses(
    settings: SignerSettings, folder: Path, trust_path: Path, socket_path: Path | None, archive: Place | None
) -> Iterator[str]:
    if archive is None:
        yield "no second memory (--archive names the archive that the state may not be behind)"
    elif isinstance(archive, Path) and not archive.is_dir():
        yield "an archive that is not there (--archive)"
    yield from _plain_addresses(settings)
    yield from weak_environment()
    if settings.backend == "software":
        yield f"the software key ({BACKEND_VARIABLE} names an HSM or a KMS)"
    if socket_path is not None:
        yield "a plain socket (--socket; --listen is mutual TLS)"
    if not trust_path.exists():
        yield "roots that nobody pinned (--trust names no file)"
    if not (folder / KEYS_FILE).exists():
        yield f"keys that no root has signed (no {KEYS_FILE} in the signer's folder)"
    if not folder.is_dir():
        return
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        yield f"a signer's folder that others can open, mode {mode:04o}"
    for path in sorted(folder.iterdir()):
        if path.name in (KEY_FILE, ROOT_FILE) or _holds_a_key(path):
            yield f"the private key in {path.name}"


def _plain_addresses(settings: SignerSettings) -> Iterator[str]:
    for what, name in (("an archive", "archive_endpoint"), ("a KMS", "awskms_endpoint"), ("a Vault", "vault_url")):
        address = getattr(settings, name)
        if address and not address.lower().startswith("https://"):
            yield f"{what} without TLS ({variable_of(PLACES[name])} begins with https://)"


def _holds_a_key(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        data = file.read(_MAX_LOOK_BYTES)
    return any(word in data for word in _PRIVATE)
