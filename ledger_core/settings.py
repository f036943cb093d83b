"""The one place that reads the environment.

Every setting has the prefix `COUNTERFOIL_`, but for `DATABASE_URL`, which is everybody's. Nothing is read at import:
`load_settings()` is called once by each entry point, and the result is handed down.
"""

from __future__ import annotations

import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger_core.errors import ConfigurationError

HOME_FOLDER_NAME = ".counterfoil"

MAX_BATCH_RECORDS = 1_000
MAX_BATCH_BYTES = 4 * 1024 * 1024


class Settings(BaseSettings):
    """What an operator may set; defaults are those of the embedded, single-machine install."""

    model_config = SettingsConfigDict(env_prefix="COUNTERFOIL_", frozen=True, extra="ignore", populate_by_name=True)

    env: Literal["development", "test", "production"] = "development"
    home_path: Path | None = Field(default=None, validation_alias=AliasChoices("COUNTERFOIL_HOME", "home_path"))
    database_url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    ledger_url: str | None = None
    """Append over HTTP to this ledger instead of writing the database."""
    ledger_token: str | None = None
    book: str = "main"
    domain: str = "counterfoil.localhost"
    legal_entity: str = "Example Company"
    actor: str = "cli"
    """The subject that stands in every record this process appends."""
    provider_account: str = "default"
    """The account at a provider that a landing belongs to when `--account` does not say."""
    first_close_on: date = date(2024, 1, 1)
    """The first day that may be closed: where the partitions of the nightly close begin."""
    grace_business_days: int = Field(default=5, ge=0, le=60)
    api_port: int = Field(default=0, ge=0, le=65535)
    dagster_port: int = Field(default=0, ge=0, le=65535)
    postgres_port: int = Field(default=0, ge=0, le=65535)
    unsigned_tail_max_seconds: float = Field(default=5.0, gt=0)
    unsigned_tail_max_records: int = Field(default=10_000, gt=0)
    signature_wait_seconds: float = Field(default=30.0, gt=0)
    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)

    def origin_of(self, book: str) -> str:
        """Return the log's origin, `<domain>/<env>/<book>`."""
        return f"{self.domain}/{self.env}/{book}"

    @cached_property
    def home(self) -> Path:
        """Return the home folder: the named one, else the nearest `.counterfoil` upwards.

        Raises `ConfigurationError` when none is named and none is found: a second, silent ledger is the worst surprise.
        """
        found = self.home_path or find_home(Path.cwd())
        if found is None:
            raise ConfigurationError(
                f"no {HOME_FOLDER_NAME} folder here or above.",
                remedy="Run `counterfoil up` here to make one, or name one with COUNTERFOIL_HOME.",
            )
        return found.expanduser().resolve()


def find_home(start: Path) -> Path | None:
    """Return the nearest `.counterfoil` folder from `start` upwards."""
    for folder in (start, *start.parents):
        if (folder / HOME_FOLDER_NAME).is_dir():
            return folder / HOME_FOLDER_NAME
    return None


def load_settings(**overrides: object) -> Settings:
    """Read the environment; `overrides` (command-line options) win. Raises `ConfigurationError` naming the variable."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"setting {name}: {first['msg']}.") from error


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for a process that this one starts: ours, with home and telemetry switches written out."""
    return {
        **os.environ,
        "COUNTERFOIL_HOME": str(settings.home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }
