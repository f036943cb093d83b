"""A key that signs no more because it was switched off where it is kept, and the commands that end it all the same.

The first step of docs/runbooks/key-compromise.md is to disable the key. From then on the proxy has nothing signed and
is not healthy, and a new one does not come up: so nothing that ends the key may wait for either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.base.processes import ProcessGroup
from ledger_core.errors import DependencyError
from ledger_core.signing.client import SigningClient
from tests.e2e.site.token import make_token
from tests.integration.signing import kms_server
from tests.integration.signing_tls.conftest import FOLDER

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Who keeps a home's key: the variables that name it, and the next; `disable` switches the first off."""

    first: dict[str, str]
    second: dict[str, str]
    disable: Callable[[], None]


@pytest.fixture
def token_keeper(tmp_path: Path) -> Keeper:
    token = make_token(tmp_path / "token")
    token.make("first")
    token.make("second")
    return Keeper(
        first=token.settings("first", module=token.bare),
        second=token.settings("second", module=token.bare),
        disable=lambda: token.destroy("first"),
    )


@pytest.fixture
def kms_keeper(tmp_path: Path) -> Iterator[Keeper]:
    kms, server = kms_server.serve()
    credentials = tmp_path / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text("[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n")
    arns = [kms.make(name) for name in ("first", "second")]

    def told(arn: str) -> dict[str, str]:
        return {
            "COUNTERFOIL_SIGNING__BACKEND": "awskms",
            "COUNTERFOIL_SIGNING__AWSKMS_KEY": arn,
            "COUNTERFOIL_SIGNING__AWSKMS_ENDPOINT": kms.url,
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def disable() -> None:
        kms.keys[arns[0]].state = "Disabled"

    yield Keeper(first=told(arns[0]), second=told(arns[1]), disable=disable)
    server.shutdown()
    server.server_close()


class Home:
    """A home whose key somebody else keeps, run by commands; `told` are the keeper's variables of the day."""

    def __init__(self, home: Path, database_url: str, told: dict[str, str]) -> None:
        self.home, self.told = home, told
        self._common = {
            name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "AWS_"))
        } | {"COUNTERFOIL_HOME": str(home), "COUNTERFOIL_ENV": "test", "DATABASE_URL": database_url}

    def __call__(self, *words: object, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *map(str, words)],
            env=self._common | self.told, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == status, (words, done.stdout[-2000:], done.stderr[-2000:])
        assert "Traceback" not in done.stderr
        return done.stdout

    def signer(self) -> SigningClient:
        (record,) = [item for item in ProcessGroup(self.home / "run").records() if item.name == "signing-proxy"]
        return SigningClient(Path(record.address))


@pytest.fixture(params=["token_keeper", "kms_keeper"])
def switched_off(
    request: pytest.FixtureRequest, home: Path, database_url: str, tmp_path: Path
) -> tuple[Home, dict[str, str]]:
    """A home with a night in its archive and a record since, whose key was switched off; and the next key."""
    keeper: Keeper = request.getfixturevalue(request.param)
    made = Home(home, database_url, keeper.first)
    chart = tmp_path / "accounts.yaml"
    chart.write_text("accounts:\n  - {code: 'assets:cash:usd', type: asset, currency: USD}\n")
    made("accounts", "apply", chart)
    made("export", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    keeper.disable()
    client = made.signer()
    with pytest.raises(DependencyError):
        client.health()
    client.close()
    return made, keeper.second


@pytest.mark.parametrize("proxy", ["runs on", "is down"])
def test_a_stolen_key_that_is_switched_off_is_ended_by_the_pages_commands(
    switched_off: tuple[Home, dict[str, str]], proxy: str, tmp_path: Path
) -> None:
    home, second = switched_off
    if proxy == "is down":
        home("down")
    assert "registry version 1" in home("keys", "list"), "before anything signs again"
    first = json.loads(home("keys", "list", "--json"))["keys"][0]["key_id"]
    home("keys", "trust", "--out", tmp_path / "trust-before.json")
    home.told = second
    stolen_at = f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
    said = home("keys", "compromise", "--before", stolen_at)
    assert f"key {first} is compromised" in said
    assert "beyond doubt up to size" in said
    assert "recorded at seq" in said
    found = json.loads(home("keys", "list", "--json"))
    assert [item["status"] for item in found["keys"]] == ["compromised", "active"]
    home("check")
    home("keys", "trust", "--out", tmp_path / "auditors.json")
    home("export", f"{datetime.now(UTC):%Y-%m-%d}")
    assert "VERIFIED" in home("verify", home.home / "archive", "--trust", tmp_path / "auditors.json")


def test_a_key_that_is_switched_off_is_revoked_and_its_successor_goes_on(
    switched_off: tuple[Home, dict[str, str]],
) -> None:
    home, second = switched_off
    home.told = second
    assert "is revoked" in home("keys", "revoke")
    home("check")


def test_a_change_that_its_key_cannot_sign_says_why_and_changes_nothing(
    switched_off: tuple[Home, dict[str, str]], tmp_path: Path
) -> None:
    home, _ = switched_off
    before = json.loads(home("keys", "list", "--json"))
    home("keys", "rotate", status=2)
    home("keys", "make-root", tmp_path / "anna.pem")
    home("keys", "roots", "--add-root", tmp_path / "anna.pem.pub", status=2)
    after: Any = json.loads(home("keys", "list", "--json"))
    assert (after["version"], after["keys"]) == (before["version"], before["keys"])
