"""All settings as one checked model, and how it is read from the environment."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ledger_core.errors import ConfigurationError
from ledger_core.settings import environment as names
from ledger_core.settings.environment import HOME_FOLDER_NAME, Place
from ledger_core.settings.rooms import (
    ApiSettings,
    ArchiveSettings,
    FileKeysSettings,
    IngestSettings,
    KafkaSettings,
    LedgerSettings,
    OrchestrationSettings,
    ReconciliationSettings,
    SigningSettings,
    WebhookSettings,
)


class Settings(BaseModel):
    """What an operator may set: what all rooms share, then a model a room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "test", "staging", "production"] = "development"
    home_path: Path | None = None
    database_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    """`host:port,...`: where the log's records are told to besides the archive. None: to the archive alone."""
    ledger_url: str | None = None
    """Append over HTTP to this ledger instead of writing the database."""
    ledger_token: str | None = None
    book: str = "main"
    actor: str = "cli"
    """The subject that stands in every record this process appends."""

    ledger: LedgerSettings = LedgerSettings()
    archive: ArchiveSettings = ArchiveSettings()
    signing: SigningSettings = SigningSettings()
    ingest: IngestSettings = IngestSettings()
    file_keys: FileKeysSettings = FileKeysSettings()
    webhooks: WebhookSettings = WebhookSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    orchestration: OrchestrationSettings = OrchestrationSettings()
    api: ApiSettings = ApiSettings()
    kafka: KafkaSettings = KafkaSettings()

    @property
    def strict(self) -> bool:
        """Say whether this is staging or production, where development's stand-ins are refused."""
        return self.env in names.STRICT_ENVIRONMENTS

    @property
    def origin_prefix(self) -> str:
        """Return what the origin of every log of this installation begins with, `<domain>/<env>/`."""
        return f"{self.ledger.domain}/{self.env}/"

    def origin_of(self, book: str) -> str:
        """Return the log's origin, `<domain>/<env>/<book>`."""
        return f"{self.origin_prefix}{book}"

    @property
    def archive_address(self) -> str:
        """Return where the archive lies: the address set, else that of a folder in the home."""
        return self.archive.url or (self.home / "archive").as_uri()

    @property
    def webhooks_folder(self) -> Path:
        """Return where the accounts at providers that send webhooks are set up, with their secrets."""
        return self.webhooks.folder or self.home / "webhooks"

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


def known_names() -> dict[str, Place]:
    """Return every variable that sets something, and where it stands in `Settings`."""
    places: list[Place] = []
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            places += ((name, inner) for inner in kind.model_fields)
        else:
            places.append((name,))
    return {names.variable_of(place): place for place in places}


def load_settings(**overrides: object) -> Settings:
    """Read the environment; `overrides` (command-line options) win. Raises `ConfigurationError` naming the variable.

    Warns (`SettingsWarning`) of names that are old or unknown.
    """
    found = names.read_environment(os.environ, known_names())
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate({**found.values, **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(str(part) for part in first["loc"])
        variable = None if path[0] in given else found.variables.get(path)
        raise ConfigurationError(f"setting {variable or '.'.join(path)}: {first['msg']}.") from error
