"""Who signs is chosen in one place, by a setting, and what production forbids is refused there."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.settings.signer import SignerSettings, load_signer_settings
from ledger_core.signing.open import BACKENDS, choose_backend

FOLDER = Path(__file__).parents[3] / "ledger_core" / "signing" / "backends"


def test_a_key_in_a_file_signs_unless_something_else_is_set(tmp_path: Path) -> None:
    key = choose_backend(SignerSettings()).open_key(SignerSettings(), tmp_path)
    assert (key.name, key.assurance) == ("software", "software")
    assert key.public_key.verify(b"said", key.sign(b"said"))


def test_the_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_SIGNING__BACKEND", "typewriter")
    with pytest.raises(ConfigurationError, match="no signing back-end 'typewriter'") as unknown:
        choose_backend(load_signer_settings())
    assert "COUNTERFOIL_SIGNING__BACKEND to one of awskms, pkcs11, software, vault" in str(unknown.value)


def test_production_refuses_a_key_in_a_file() -> None:
    with pytest.raises(ConfigurationError, match="the software signing back-end is refused in production"):
        choose_backend(SignerSettings(env="production"))


def test_every_module_of_a_back_end_is_listed_and_calls_itself_as_the_list_does() -> None:
    modules = {f"ledger_core.signing.backends.{path.stem}" for path in FOLDER.glob("[!_]*.py")}
    assert modules == set(BACKENDS.values())
    for name, module in BACKENDS.items():
        assert name == import_module(module).NAME


def test_only_the_list_and_the_first_start_name_a_back_end() -> None:
    named = {
        path.name
        for path in FOLDER.parent.glob("*.py")
        if "signing.backends" in path.read_text() and path.name != "__init__.py"
    }
    assert named == {"open.py", "bootstrap.py", "takeover.py"}, "the first root and the next key may be keys in files"
