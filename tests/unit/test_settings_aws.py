"""What AWS's library would take from the environment and production refuses, of the ledger and of the proxy alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.settings.aws import weaknesses_of_aws
from ledger_core.settings.signer import SECRETS, SignerSettings
from ledger_core.settings.strict import refuse_what_is_weak as refuse_ledger
from ledger_core.signing.production import refuse_what_is_weak as refuse_proxy
from tests.unit.test_settings_strict import refused, sound

SECURE = "https://kms.example.com"


def found(tmp_path: Path, **environ: str) -> list[str]:
    return list(weaknesses_of_aws({"HOME": str(tmp_path), **environ}))


@pytest.mark.parametrize(
    "name",
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS", "aws_endpoint_url_s3"],
)
@pytest.mark.parametrize(
    "value", ["http://hunter2:9000", "HTTP://hunter2", "hunter2:9000", "//hunter2", " https://hunter2"]
)
def test_an_address_without_tls_is_named_whatever_service_it_is_of(tmp_path: Path, name: str, value: str) -> None:
    (only,) = found(tmp_path, **{name: value})
    assert name.upper() in only
    assert "hunter2" not in only
    (only,) = refused(sound(tmp_path / "home"), HOME=str(tmp_path), **{name: value})
    assert name.upper() in only


def test_an_address_with_tls_and_a_role_are_let_through(tmp_path: Path) -> None:
    told = {
        "AWS_ENDPOINT_URL": SECURE, "AWS_ENDPOINT_URL_S3": "HTTPS://s3.example.com", "AWS_ROLE_ARN": "arn:aws:iam::1:r",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_REGION": "eu-central-1",
        "AWS_SECRET_ACCESS_KEY": "",
    }  # fmt: skip
    assert found(tmp_path, **told) == []
    refuse_ledger(sound(tmp_path / "home"), {"HOME": str(tmp_path), **told})


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("[default]\nendpoint_url = http://x\n", True),
        ("[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://x\n", True),
        ("[default]\n\tENDPOINT_URL=http://x", True),
        ("[default]\nendpoint_url: http://x\n", True),
        ("[default]\nendpoint_url : http://x\n", True),
        ("[default]\nendpoint_url = https://x\n", False),
        ("[default]\nendpoint_url : https://x\n", False),
        ("[default]\nendpoint_url =\nregion = x\n", False),
        ("[default]\n# endpoint_url = http://x\nregion = x\n", False),
        ("", False),
        ("\xff\x00", False),
    ],
)
@pytest.mark.parametrize("where", ["named", "at home"])
def test_a_plain_address_in_the_librarys_own_file_is_named(tmp_path: Path, text: str, plain: bool, where: str) -> None:
    path = tmp_path / ".aws" / "config" if where == "at home" else tmp_path / "config"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    told = {} if where == "at home" else {"AWS_CONFIG_FILE": str(path)}
    assert ["AWS_CONFIG_FILE" in item for item in found(tmp_path, **told)] == [True] * plain


def test_an_address_beside_the_credentials_counts_too(tmp_path: Path) -> None:
    path = tmp_path / ".aws" / "credentials"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text("[default]\nendpoint_url = http://hunter2\n")
    (only,) = found(tmp_path)
    assert "without TLS" in only
    assert "hunter2" not in only


def test_credentials_at_home_that_everybody_may_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / ".aws" / "credentials"
    path.parent.mkdir()
    path.touch(mode=0o600)
    assert found(tmp_path) == []
    path.chmod(0o604)
    (only,) = found(tmp_path)
    assert "everybody may read" in only
    assert found(tmp_path, AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none")) == []


def test_where_there_is_no_home_there_is_no_file_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError(f"Could not determine home directory of {path}.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    assert list(weaknesses_of_aws({})) == []
    assert found(tmp_path, AWS_CONFIG_FILE="~nobody/config", AWS_SHARED_CREDENTIALS_FILE="~nobody/x") == []


def test_credentials_that_everybody_may_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    assert found(tmp_path, AWS_SHARED_CREDENTIALS_FILE=str(path)) == []
    assert found(tmp_path, AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none")) == []
    path.chmod(0o604)
    (only,) = found(tmp_path, AWS_SHARED_CREDENTIALS_FILE=str(path))
    assert "AWS_SHARED_CREDENTIALS_FILE" in only


# The proxy asks the same of its own environment, and of its settings.


def weak_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], **settings: Any) -> list[str]:
    folder = tmp_path / "signer"
    folder.mkdir(mode=0o700)
    (folder / "keys.jsonl").touch()
    (tmp_path / "trust.json").touch()
    (tmp_path / "archive").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    made = SignerSettings(env="production", backend="awskms", **settings)
    try:
        refuse_proxy(made, folder, tmp_path / "trust.json", socket_path=None, archive=tmp_path / "archive")
    except ConfigurationError as error:
        named: list[str] = error.context["refused"]
        return named
    return []


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "VAULT_", "BAO_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_in_the_proxys_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (only,) = weak_proxy(tmp_path, monkeypatch, {name: "hunter2"})
    assert name in only
    assert "hunter2" not in only


@pytest.mark.parametrize("setting", ["awskms_endpoint", "archive_endpoint", "vault_url"])
@pytest.mark.parametrize("value", ["http://hunter2", "hunter2", "HTTP://hunter2"])
def test_an_address_of_the_proxys_own_settings_without_tls_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    (only,) = weak_proxy(tmp_path, monkeypatch, {}, **{setting: value})
    assert "without TLS (COUNTERFOIL_" in only
    assert "hunter2" not in only


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_a_plain_address_in_the_proxys_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (only,) = weak_proxy(tmp_path, monkeypatch, {name: "http://127.0.0.1:1"})
    assert name in only


def test_a_proxy_that_is_strong_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weak_proxy(tmp_path, monkeypatch, {"AWS_ENDPOINT_URL_S3": SECURE}, awskms_endpoint=SECURE) == []
