"""Who wraps the keys of landed files: chosen by the setting `file_keys.backend`. Nothing is opened or asked here.

A back-end is one module in `base/wrapping/`, one function here, and its settings in `FileKeysSettings`. Another than
the one that wraps is opened when something that it wrapped before is read. Invariant: staging and production use no key
that lies in a file, for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ledger_core.base.keepers.custody import Patience
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.errors import ConfigurationError
from ledger_core.settings.environment import variable_of

if TYPE_CHECKING:
    from ledger_core.base.wrapping.port import Wrapper
    from ledger_core.settings import Settings

RUNBOOK = "docs/runbooks/file-keys.md"


def open_wrapping(settings: Settings) -> KeyWrapping:
    """Return what wraps and opens the keys of files; its back-ends are opened when they are first needed."""
    return KeyWrapping(settings.file_keys.backend, lambda backend: open_backend(settings, backend))


def open_backend(settings: Settings, backend: str) -> Wrapper:
    """Return one back-end. Raises `ConfigurationError` where it must not, or cannot, be used; `DependencyError`."""
    open_one = BACKENDS.get(backend)
    if open_one is None:
        raise ConfigurationError(
            f"there is no back-end {backend!r:.40} that wraps keys of files.",
            remedy=f"Use the release that wrapped them; this one knows {', '.join(sorted(BACKENDS))}.",
        )
    try:
        return open_one(settings)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        raise ConfigurationError(
            f"the back-end {backend} needs {error.name}, which is not installed.",
            remedy=f"pip install 'counterfoil[{backend}]' on the hosts that land files.",
        ) from error


def _file(settings: Settings) -> Wrapper:
    from ledger_core.base.wrapping.file import FOLDER, FileWrapper

    if settings.strict:
        raise ConfigurationError(
            f"COUNTERFOIL_ENV={settings.env} refuses keys of files that a key in a file wraps.",
            remedy="Set COUNTERFOIL_FILE_KEYS__BACKEND to an HSM, a KMS or a Vault; what a file wrapped before is "
            f"wrapped anew where it was landed, by `counterfoil file-keys rewrap`: {RUNBOOK}.",
        )
    return FileWrapper(settings.home / FOLDER)


def _pkcs11(settings: Settings) -> Wrapper:
    from ledger_core.base.keepers.token import TokenPlace
    from ledger_core.base.wrapping.pkcs11 import TokenWrapper

    given = settings.file_keys
    _need(settings, "pkcs11_module", "pkcs11_token", "pkcs11_pin_file")
    if not (given.pkcs11_key_label or given.pkcs11_key_id):
        _need(settings, "pkcs11_key_label", "pkcs11_key_id")
    place = TokenPlace(
        module=given.pkcs11_module,
        token=given.pkcs11_token,
        pin_file=given.pkcs11_pin_file,
        key_label=given.pkcs11_key_label,
        key_id=given.pkcs11_key_id,
    )
    place.check()
    return TokenWrapper(place, hardware_only=settings.strict)


def _awskms(settings: Settings) -> Wrapper:
    from ledger_core.base.keepers.kms import check_arn, make_client
    from ledger_core.base.wrapping.awskms import KmsWrapper

    _need(settings, "awskms_key")
    arn, endpoint = settings.file_keys.awskms_key, settings.file_keys.awskms_endpoint
    check_arn(arn)
    return KmsWrapper(arn, lambda named: make_client(named, endpoint), Patience())


def _vault(settings: Settings) -> Wrapper:
    from ledger_core.base.keepers.vault import VaultPlace, check_version
    from ledger_core.base.wrapping.vault import TransitWrapper, check_name

    given = settings.file_keys
    _need(settings, "vault_url", "vault_key", "vault_key_version", "vault_mount", "vault_auth_mount")
    _need(settings, "vault_role_id", "vault_secret_id_file")
    place = VaultPlace(
        url=given.vault_url,
        namespace=given.vault_namespace,
        auth_mount=given.vault_auth_mount,
        role_id=given.vault_role_id,
        secret_id_file=given.vault_secret_id_file,
        ca_file=given.vault_ca_file,
        client_cert_file=given.vault_client_cert_file,
        client_key_file=given.vault_client_key_file,
    )
    place.check()
    check_version(given.vault_key_version)
    check_name(given.vault_mount, given.vault_key)
    place.check_files()
    return TransitWrapper(
        place,
        mount=given.vault_mount,
        key=given.vault_key,
        version=int(given.vault_key_version),
        patience=Patience(),
    )


BACKENDS: Mapping[str, Callable[[Settings], Wrapper]] = {
    "file": _file,
    "pkcs11": _pkcs11,
    "awskms": _awskms,
    "vault": _vault,
}
"""What opens each back-end, by the word that the setting and every wrapped key call it."""


def _need(settings: Settings, *names: str) -> None:
    """Raise `ConfigurationError` that names the variable of each of the settings `names` that is empty."""
    missing = [variable_of(("file_keys", name)) for name in names if not getattr(settings.file_keys, name)]
    if missing:
        raise ConfigurationError(
            f"a back-end that wraps keys of files is not told {', '.join(missing)}.",
            remedy=f"Set what is missing; {RUNBOOK} says to what.",
        )
