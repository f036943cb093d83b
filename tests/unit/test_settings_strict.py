"""What staging and production refuse: each weakness by its own name, all at once, and no value repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.settings import Settings
from ledger_core.settings.rooms import (
    ApiSettings,
    ArchiveSettings,
    FileKeysSettings,
    IngestSettings,
    KafkaSettings,
    SigningSettings,
)
from ledger_core.settings.strict import KEY_FILES, KEY_FOLDERS, SECRET_VARIABLES, refuse_what_is_weak

SIGNED_ELSEWHERE = SigningSettings(
    url="https://signer.example.com:8443",
    ca_file=Path("/run/tls/ca.pem"),
    cert_file=Path("/run/tls/cert.pem"),
    key_file=Path("/run/tls/key.pem"),
)
WRAPPED_ELSEWHERE = FileKeysSettings(backend="vault", vault_url="https://vault.example.com:8200")
SOUND_URL = "postgresql://books@db.example.com/books?sslmode=verify-full"


def sound(home: Path, **changes: object) -> Settings:
    home.mkdir(mode=0o700, exist_ok=True)
    given: dict[str, object] = {
        "env": "production",
        "home_path": home,
        "database_url": SOUND_URL,
        "signing": SIGNED_ELSEWHERE,
        "file_keys": WRAPPED_ELSEWHERE,
        "api": ApiSettings(socket=Path("/run/api.sock")),
    }
    return Settings.model_validate(given | changes)


def refused(settings: Settings, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        refuse_what_is_weak(settings, environ)
    found: list[str] = caught.value.context["refused"]
    return found


@pytest.mark.parametrize("env", ["staging", "production"])
def test_what_is_strong_is_let_through(tmp_path: Path, env: str) -> None:
    refuse_what_is_weak(sound(tmp_path / "home", env=env), {"PATH": "/bin", "PGSSLROOTCERT": "/etc/ca.pem"})


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger_url": "https://ledger.example.com"},
        {"ledger_url": "HTTPS://ledger.example.com"},
        {"database_url": f"{SOUND_URL}&sslkey=/etc/keys/books.pem"},
    ],
)
def test_what_is_strong_in_another_way_is_let_through_too(tmp_path: Path, changes: dict[str, object]) -> None:
    refuse_what_is_weak(sound(tmp_path / "home", **changes), {})


def test_the_environment_of_the_process_is_looked_at_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    with pytest.raises(ConfigurationError, match="PGPASSWORD"):
        refuse_what_is_weak(sound(tmp_path / "home"))


def test_who_has_no_home_is_told_so_by_whoever_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = sound(tmp_path / "unused", home_path=None)
    refuse_what_is_weak(settings, {})
    (tmp_path / ".counterfoil").write_text("no folder, no home")
    (tmp_path / ".counterfoil").chmod(0o644)
    refuse_what_is_weak(settings, {})


@pytest.mark.parametrize("env", ["development", "test"])
def test_development_is_asked_nothing(env: str) -> None:
    refuse_what_is_weak(Settings(env=env), {"PGPASSWORD": "x"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"signing": SigningSettings()}, "software key"),
        ({"signing": SigningSettings(backend="pkcs11")}, "COUNTERFOIL_SIGNING__URL"),
        ({"signing": SIGNED_ELSEWHERE.model_copy(update={"url": "http://hunter2:1"})}, "without TLS"),
        ({"signing": SIGNED_ELSEWHERE.model_copy(update={"ca_file": None})}, "COUNTERFOIL_SIGNING__CA_FILE"),
        ({"signing": SIGNED_ELSEWHERE.model_copy(update={"cert_file": None})}, "COUNTERFOIL_SIGNING__CERT_FILE"),
        ({"signing": SIGNED_ELSEWHERE.model_copy(update={"key_file": None})}, "COUNTERFOIL_SIGNING__KEY_FILE"),
        ({"file_keys": FileKeysSettings()}, "COUNTERFOIL_FILE_KEYS__BACKEND"),
        (
            {"file_keys": WRAPPED_ELSEWHERE.model_copy(update={"vault_url": "http://hunter2:8200"})},
            "COUNTERFOIL_FILE_KEYS__VAULT_URL",
        ),
        (
            {"file_keys": WRAPPED_ELSEWHERE.model_copy(update={"awskms_endpoint": "http://hunter2"})},
            "COUNTERFOIL_FILE_KEYS__AWSKMS_ENDPOINT",
        ),
        ({"database_url": None}, "embedded database"),
        ({"database_url": "postgresql://me:hunter2@db/b?sslmode=verify-full"}, "password in DATABASE_URL"),
        ({"database_url": "postgresql://me:@db/b?sslmode=verify-full"}, "password in DATABASE_URL"),
        ({"database_url": "postgresql://me@db/b?sslmode=verify-full&password=hunter2"}, "password in DATABASE_URL"),
        ({"database_url": "postgresql://me@db/b?sslmode=verify-full&passfile=/hunter2"}, "password in DATABASE_URL"),
        ({"database_url": "postgresql://me@db/b?sslmode=verify-full&service=hunter2"}, "password in DATABASE_URL"),
        ({"database_url": "postgresql://me@db/b"}, "without sslmode=verify-full"),
        ({"database_url": "postgresql://me@db/b?sslmode=require"}, "without sslmode=verify-full"),
        ({"database_url": "postgresql://me@db/b?sslmode=verify-full&sslmode=disable"}, "without sslmode=verify-full"),
        ({"database_url": f"{SOUND_URL}&sslkey=keys/hunter2.pem"}, "sslkey in DATABASE_URL"),
        ({"database_url": "postgresql://me@[db/b"}, "cannot be read"),
        ({"ledger_url": "http://hunter2.example.com"}, "without TLS"),
        ({"archive": ArchiveSettings(endpoint="http://hunter2.example.com")}, "archive without TLS"),
        ({"archive": ArchiveSettings(lock="governance")}, "lock can be lifted"),
        ({"kafka_bootstrap_servers": "hunter2:9092"}, "COUNTERFOIL_KAFKA__SECURITY"),
        (
            {"kafka_bootstrap_servers": "hunter2:9092", "kafka": KafkaSettings(security="SASL_PLAINTEXT")},
            "brokers without TLS",
        ),
        ({"ingest": IngestSettings(stripe_url="http://hunter2.example.com")}, "COUNTERFOIL_INGEST__STRIPE_URL"),
        ({"api": ApiSettings()}, "TCP listener"),
        ({"api": ApiSettings(socket=Path("/run/api.sock"), port=8080)}, "COUNTERFOIL_API__PORT"),
    ],
)
def test_each_weak_setting_is_named_alone_and_its_value_is_not(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    (only,) = refused(sound(tmp_path / "home", **changes))
    assert named in only
    assert "hunter2" not in only


@pytest.mark.parametrize("name", sorted(SECRET_VARIABLES))
def test_a_secret_in_the_environment_is_named_in_either_case(tmp_path: Path, name: str) -> None:
    for spelling in (name, name.lower()):
        (only,) = refused(sound(tmp_path / "home"), **{spelling: "hunter2"})
        assert name in only
        assert "hunter2" not in only


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_key_file_that_development_left_is_named(tmp_path: Path, name: str) -> None:
    settings = sound(tmp_path / "home")
    (settings.home / name).parent.mkdir(exist_ok=True)
    (settings.home / name).touch()
    (only,) = refused(settings)
    assert name in only


@pytest.mark.parametrize("name", KEY_FOLDERS)
def test_a_folder_of_keys_that_development_left_is_named_and_an_empty_one_is_none(tmp_path: Path, name: str) -> None:
    settings = sound(tmp_path / "home")
    (settings.home / name).mkdir()
    refuse_what_is_weak(settings, {})
    (settings.home / name / "0001.key").touch()
    (only,) = refused(settings)
    assert f"{name}/" in only


def test_a_tls_key_that_everybody_may_read_is_named(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    key.chmod(0o444)
    (only,) = refused(
        sound(tmp_path / "home", signing=SIGNED_ELSEWHERE.model_copy(update={"key_file": key})),
    )
    assert "COUNTERFOIL_SIGNING__KEY_FILE" in only
    key.chmod(0o440)
    refuse_what_is_weak(sound(tmp_path / "home", signing=SIGNED_ELSEWHERE.model_copy(update={"key_file": key})), {})


def test_a_key_of_a_provider_that_everybody_may_read_is_named(tmp_path: Path) -> None:
    key = tmp_path / "hunter2"
    key.write_text("rk")
    settings = sound(tmp_path / "home", ingest=IngestSettings(stripe_key_files={"default": key}))
    key.chmod(0o644)
    (only,) = refused(settings)
    assert "COUNTERFOIL_INGEST__STRIPE_KEY_FILES" in only
    assert "hunter2" not in only
    key.chmod(0o600)
    refuse_what_is_weak(settings, {})


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o701])
def test_a_home_that_others_can_open_is_named_with_its_mode(tmp_path: Path, mode: int) -> None:
    settings = sound(tmp_path / "home")
    settings.home.chmod(mode)
    (only,) = refused(settings)
    assert f"{mode:04o}" in only


def test_the_found_home_counts_as_the_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".counterfoil").mkdir()
    (tmp_path / ".counterfoil").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    (only,) = refused(sound(tmp_path / "unused", home_path=None))
    assert "0755" in only


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    assert len(refused(Settings(env="production", home_path=tmp_path / "none"), PGPASSWORD="x")) == 5
