"""A child is told a list of names: its settings as they were checked, what any program needs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.settings import Settings, load_settings
from ledger_core.settings.child import BUCKET_CLIENT, DATABASE_CLIENT, SIGNER_READS, child_environment, lent, pass_on
from ledger_core.settings.rooms import (
    ApiSettings,
    ArchiveSettings,
    FileKeysSettings,
    LedgerSettings,
    SigningSettings,
)

FIXED = {
    "COUNTERFOIL_HOME", "DAGSTER_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DBT_SEND_ANONYMOUS_USAGE_STATS",
    "GX_ANALYTICS_ENABLED",
}  # fmt: skip


@pytest.fixture(autouse=True)
def crowded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "PGOPTIONS",
        "COUNTERFOIL_LEDGER_TOKEN",
        "LD_PRELOAD",
        *DATABASE_CLIENT,
    ):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("LC_ALL", "C")


def test_a_name_in_no_list_is_not_passed(tmp_path: Path) -> None:
    environment = child_environment(Settings(home_path=tmp_path))
    assert set(environment) == {"PATH", "LC_ALL", *FIXED}
    assert environment["COUNTERFOIL_HOME"] == str(tmp_path)


def test_settings_are_handed_on_as_they_were_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        home_path=tmp_path,
        env="test",
        book="b",
        ledger=LedgerSettings(domain="a.example"),
        api=ApiSettings(port=1),
    )
    for name, value in child_environment(given).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COUNTERFOIL_LEDGER_TOKEN")
    assert load_settings() == given


def test_the_signer_hears_its_own_settings_alone(tmp_path: Path) -> None:
    given = Settings(
        home_path=tmp_path, env="test", database_url="postgresql://me:s3cret@h/b", ledger_url="https://x",
        ledger_token="s3cret", signing=SigningSettings(backend="other"),
    )  # fmt: skip
    environment = child_environment(given, SIGNER_READS)
    assert set(environment) == {"PATH", "LC_ALL", "COUNTERFOIL_ENV", "COUNTERFOIL_SIGNING__BACKEND", *FIXED}
    assert "s3cret" not in environment.values()


def test_the_library_of_the_keys_hears_its_own_names_and_only_where_it_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "c")
    heard = {
        backend: set(child_environment(Settings(home_path=tmp_path, signing=SigningSettings(backend=backend)), reads))
        & {"AWS_SECRET_ACCESS_KEY", "SOFTHSM2_CONF"}
        for backend, reads in (("awskms", SIGNER_READS), ("pkcs11", SIGNER_READS), ("vault", SIGNER_READS))
    }
    assert heard == {"awskms": {"AWS_SECRET_ACCESS_KEY"}, "pkcs11": {"SOFTHSM2_CONF"}, "vault": set()}
    kms = Settings(home_path=tmp_path, signing=SigningSettings(backend="awskms"))
    assert "AWS_SECRET_ACCESS_KEY" not in child_environment(kms), "neither the API nor Dagster signs"


def test_what_reaches_the_keys_of_files_goes_to_those_that_land_them_alone(tmp_path: Path) -> None:
    given = Settings(home_path=tmp_path, file_keys=FileKeysSettings(backend="awskms", awskms_key="arn:k"))
    assert child_environment(given, lands=True)["AWS_SECRET_ACCESS_KEY"] == "s3cret"
    assert "AWS_SECRET_ACCESS_KEY" not in child_environment(given), "the API reads no bytes of files"
    signer = child_environment(given, SIGNER_READS)
    assert not {name for name in signer if "AWS" in name or "FILE_KEYS" in name}, "the signing proxy least of all"
    elsewhere = given.model_copy(update={"file_keys": FileKeysSettings()})
    assert "AWS_SECRET_ACCESS_KEY" not in child_environment(elsewhere, lands=True)


def test_a_token_goes_only_where_an_address_for_it_is_set(tmp_path: Path) -> None:
    alone = Settings(home_path=tmp_path, ledger_token="s3cret")
    assert "COUNTERFOIL_LEDGER_TOKEN" not in child_environment(alone)
    both = alone.model_copy(update={"ledger_url": "https://x"})
    assert child_environment(both)["COUNTERFOIL_LEDGER_TOKEN"] == "s3cret"


def test_what_a_databases_client_reads_goes_with_the_databases_address(tmp_path: Path) -> None:
    assert not set(DATABASE_CLIENT) & set(child_environment(Settings(home_path=tmp_path)))
    named = Settings(home_path=tmp_path, database_url="postgresql://h/b")
    assert set(DATABASE_CLIENT) <= set(child_environment(named))


def test_what_opens_a_bucket_goes_to_every_child_where_the_archive_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in BUCKET_CLIENT:
        monkeypatch.setenv(name, "s3cret")
    for url in (None, tmp_path.as_uri()):
        elsewhere = Settings(home_path=tmp_path, archive=ArchiveSettings(url=url))
        assert not set(BUCKET_CLIENT) & set(child_environment(elsewhere))
    archive = ArchiveSettings(url="s3://bucket/books", endpoint="https://s3.example", region="x", tsa_url="https://t")
    in_a_bucket = Settings(home_path=tmp_path, archive=archive)
    assert set(BUCKET_CLIENT) <= set(child_environment(in_a_bucket))
    # The signing proxy reads the archive by its address, which is an argument, and how it is reached.
    signer = child_environment(in_a_bucket, SIGNER_READS)
    assert set(BUCKET_CLIENT) <= set(signer)
    told = {name for name in signer if name.startswith("COUNTERFOIL_ARCHIVE__")}
    assert told == {"COUNTERFOIL_ARCHIVE__ENDPOINT", "COUNTERFOIL_ARCHIVE__REGION"}


def test_what_is_lent_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with lent("DBT_ENV_SECRET_X", "1"), lent("DBT_ENV_SECRET_X", "2"):
        assert pass_on(["DBT_ENV_SECRET_X"]) == {"DBT_ENV_SECRET_X": "2"}
    assert pass_on(["DBT_ENV_SECRET_X"]) == {}
    monkeypatch.setenv("DBT_ENV_SECRET_X", "before")
    with pytest.raises(ZeroDivisionError), lent("DBT_ENV_SECRET_X", "3"):
        raise ZeroDivisionError
    assert pass_on(["DBT_ENV_SECRET_X"]) == {"DBT_ENV_SECRET_X": "before"}
