"""Settings: where the home is, what each name sets, and what a wrong value, an old name or an unknown one is told."""

from __future__ import annotations

import ast
import os
import warnings
from dataclasses import fields
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.settings import Settings, load_settings
from ledger_core.settings.environment import OLD_NAMES, SettingsWarning, variable_of
from ledger_core.settings.model import known_names
from ledger_core.settings.rooms import ApiSettings, LedgerSettings
from ledger_core.settings.signer import ENVIRONMENTS, PLACES, SignerSettings, load_signer_settings

ROOT = Path(__file__).parents[2]
FLAT = {
    "COUNTERFOIL_HOME", "COUNTERFOIL_ENV", "COUNTERFOIL_BOOK", "COUNTERFOIL_ACTOR", "DATABASE_URL",
    "COUNTERFOIL_LEDGER_URL", "COUNTERFOIL_LEDGER_TOKEN", "KAFKA_BOOTSTRAP_SERVERS",
}  # fmt: skip


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("COUNTERFOIL_", "DATABASE_")):
            monkeypatch.delenv(name)


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
    assert load_settings().home == tmp_path / ".counterfoil"


def test_no_home_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="counterfoil up"):
        _ = load_settings().home


def test_every_room_has_its_own_names_and_what_all_share_is_flat() -> None:
    names = known_names()
    assert {name for name in names if "__" not in name} == FLAT
    assert names["COUNTERFOIL_API__PORT"] == ("api", "port")
    assert {place[0] for name, place in names.items() if "__" in name} == {
        "ledger", "archive", "signing", "ingest", "file_keys", "webhooks", "reconciliation", "orchestration", "api",
        "kafka",
    }  # fmt: skip


def test_the_names_of_a_room_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API__PORT", "8080")
    monkeypatch.setenv("COUNTERFOIL_API__MAX_BODY_BYTES", "1000")
    monkeypatch.setenv("COUNTERFOIL_ORCHESTRATION__FIRST_CLOSE_ON", "2020-02-29")
    monkeypatch.setenv("COUNTERFOIL_BOOK", "second")
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    settings = load_settings(actor="nightly")
    assert settings.api == ApiSettings(port=8080, max_body_bytes=1000)
    assert settings.orchestration.first_close_on == date(2020, 2, 29)
    assert (settings.book, settings.actor) == ("second", "nightly")
    assert settings.database_url == "postgresql://somewhere/else"
    assert load_settings(book="third").book == "third"


@pytest.mark.parametrize("old", sorted(OLD_NAMES))
def test_an_old_name_is_read_and_the_warning_names_the_new_one(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new = OLD_NAMES[old]
    place = known_names()[new]
    value = "2020-02-29" if place[-1] == "first_close_on" else "17"
    monkeypatch.setenv(old, value)
    with pytest.warns(SettingsWarning, match=f"^{old} is now called {new}; "):
        settings = load_settings()
    room = getattr(settings, place[0])
    assert str(getattr(room, place[1])).removesuffix(".0") == value
    assert getattr(room, place[1]) != getattr(type(room)(), place[1])


def test_an_old_name_and_its_new_one_may_agree_and_not_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_PORT", "8080")
    monkeypatch.setenv("COUNTERFOIL_API__PORT", "8080")
    with pytest.warns(SettingsWarning, match="COUNTERFOIL_API__PORT"):
        assert load_settings().api.port == 8080
    monkeypatch.setenv("COUNTERFOIL_API__PORT", "8081")
    with pytest.raises(ConfigurationError, match="COUNTERFOIL_API_PORT and COUNTERFOIL_API__PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("COUNTERFOIL_HOEM", "COUNTERFOIL_HOME"),
        ("COUNTERFOIL_API__PROT", "COUNTERFOIL_API__PORT"),
        ("COUNTERFOIL_API__PORTS", "COUNTERFOIL_API__PORT"),
        ("COUNTERFOIL_GRACE_BUSINESS_DAY", "COUNTERFOIL_RECONCILIATION__GRACE_BUSINESS_DAYS"),
        ("COUNTERFOIL_LEDGER__TOKEN", "COUNTERFOIL_LEDGER_TOKEN"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(wrong: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(wrong, "a secret, perhaps")
    with pytest.warns(SettingsWarning, match=f"{wrong} sets nothing: the name nearest to it is {meant}\\.") as caught:
        assert load_settings() == Settings()
    assert "secret" not in str(caught[0].message)


def test_what_kubernetes_sets_for_a_service_of_ours_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("COUNTERFOIL_API_SERVICE_PORT_HTTP", "8080")
    monkeypatch.setenv("COUNTERFOIL_API_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("COUNTERFOIL_API_PORT_8080_TCP_ADDR", "10.0.0.1")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTERFOIL_ENV", "staging?"),
        ("COUNTERFOIL_API__PORT", "eighty"),
        ("COUNTERFOIL_RECONCILIATION__GRACE_BUSINESS_DAYS", "61"),
    ],
)
def test_a_wrong_value_is_told_by_the_variable_that_holds_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


def test_a_wrong_value_under_an_old_name_is_told_by_the_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_PORT", "eighty")
    with pytest.warns(SettingsWarning), pytest.raises(ConfigurationError, match="COUNTERFOIL_API_PORT:"):
        load_settings()


def test_the_origin_names_domain_environment_and_book() -> None:
    settings = Settings(ledger=LedgerSettings(domain="ledger.example.com"), env="production")
    assert settings.origin_of("gl") == "ledger.example.com/production/gl"


def test_the_signer_reads_the_environment_as_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_signer_settings().env == load_settings().env == "development"
    for env in ENVIRONMENTS:
        monkeypatch.setenv("COUNTERFOIL_ENV", env)
        assert load_signer_settings().env == load_settings().env == env
    monkeypatch.setenv("COUNTERFOIL_ENV", "prod")
    for load in (load_signer_settings, load_settings):
        with pytest.raises(ConfigurationError, match="COUNTERFOIL_ENV"):
            load()


def test_each_of_the_signers_settings_stands_among_everybodys_under_the_same_name_and_default() -> None:
    """Who starts the proxy must know its names, or would warn of each that it sets nothing."""
    assert set(PLACES) == {field.name for field in fields(SignerSettings)}
    everybodys: Any = Settings()
    for name, place in PLACES.items():
        assert known_names()[variable_of(place)] == place
        assert reduce(getattr, place, everybodys) == getattr(SignerSettings(), name)


def test_the_signer_leaves_warnings_to_those_who_know_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_PORT", "8080")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_signer_settings()


def test_nobody_else_reads_the_environment() -> None:
    rooms = [path.parent for path in ROOT.glob("*/__init__.py")]
    readers = {
        path.relative_to(ROOT).as_posix()
        for room in rooms
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Attribute, ast.alias))
        and (node.attr if isinstance(node, ast.Attribute) else node.name) in ("environ", "getenv")
    }
    # Dagster takes its folder from the environment alone: the close writes it there and reads nothing.
    assert {name for name in readers if not name.startswith("ledger_core/settings/")} == {"orchestration/close.py"}


def test_the_readme_names_every_setting() -> None:
    text = (ROOT / "README.md").read_text()
    assert {name for name in known_names() if f"`{name}`" not in text} == set()
    assert {name for name in OLD_NAMES if f"`{name}`" in text} == set()


@pytest.mark.parametrize(
    "url", ["s3://", "s3://A/x", "s3:/bucket/x", "http://bucket/x", "archive", "/archive", "file://", "s3://abc/../x"]
)
def test_an_address_of_the_archive_that_is_none_is_refused_by_its_name(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_ARCHIVE__URL", url)
    with pytest.raises(ConfigurationError, match="COUNTERFOIL_ARCHIVE__URL"):
        load_settings()


def test_an_archive_that_would_not_be_locked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_ARCHIVE__RETENTION_YEARS", "0")
    with pytest.raises(ConfigurationError, match="nothing would be locked"):
        load_settings()
    monkeypatch.setenv("COUNTERFOIL_ARCHIVE__RETENTION_DAYS", "1")
    assert load_settings().archive.retention_days == 1


def test_a_mapping_is_written_as_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_INGEST__TIME_ZONES", '{"stripe_report": "Europe/Berlin"}')
    monkeypatch.setenv("COUNTERFOIL_INGEST__STRIPE_KEY_FILES", '{"acct_1": "/run/secrets/stripe"}')
    ingest = load_settings().ingest
    assert ingest.time_zones == {"stripe_report": "Europe/Berlin"}
    assert ingest.stripe_key_files == {"acct_1": Path("/run/secrets/stripe")}
    monkeypatch.setenv("COUNTERFOIL_INGEST__TIME_ZONES", "Europe/Berlin")
    with pytest.raises(ConfigurationError, match=r"COUNTERFOIL_INGEST__TIME_ZONES: .*write JSON"):
        load_settings()
