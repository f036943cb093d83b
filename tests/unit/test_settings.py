"""Settings: where the home is, and what a wrong value is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.settings import Settings, load_settings


def test_a_named_home_wins_over_a_found_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".counterfoil").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(tmp_path / "named"))
    assert load_settings().home == tmp_path / "named"


def test_the_nearest_home_upwards_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".counterfoil").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.delenv("COUNTERFOIL_HOME", raising=False)
    assert load_settings().home == tmp_path / ".counterfoil"


def test_no_home_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERFOIL_HOME", raising=False)
    with pytest.raises(ConfigurationError, match="counterfoil up"):
        _ = load_settings().home


def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_ENV", "staging?")
    with pytest.raises(ConfigurationError, match="env"):
        load_settings()


def test_the_origin_names_domain_environment_and_book() -> None:
    assert Settings(domain="ledger.example.com", env="production").origin_of("gl") == "ledger.example.com/production/gl"
