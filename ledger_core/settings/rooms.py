"""What each room may be told: one model a room, with the defaults of the embedded, single-machine install."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ledger_core.errors import InvalidInput
from ledger_core.log.bucket import SCHEME, parse_address


class Room(BaseModel):
    """The settings of one room; fixed once they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LedgerSettings(Room):
    """`ledger_core`: whose books these are, and how far the log may run ahead of its signature."""

    domain: str = "counterfoil.localhost"
    """The first part of every log's origin."""
    legal_entity: str = "Example Company"
    postgres_port: int = Field(default=0, ge=0, le=65535)
    """The embedded server's; 0 takes a free one."""
    archive_readers: Literal["owner", "group", "everyone"] = "owner"
    """Which users of this machine may read the archive in the home; nobody else's but the owner's is any other file."""
    backups_kept_days: int = Field(default=35, ge=0, le=3_650)
    """How long a backup, and the WAL, may hold what was erased since: an erasure's record names the day."""
    unsigned_tail_max_seconds: float = Field(default=5.0, gt=0)
    unsigned_tail_max_records: int = Field(default=10_000, gt=0)


class ArchiveSettings(Room):
    """Where the nightly segments and the anchored checkpoints go, and for how long they are locked there."""

    url: str | None = None
    """`s3://bucket/prefix` or `file:///path`; default the folder `archive` in the home. Never a credential: those of a
    bucket come by boto3's own chain."""
    endpoint: str | None = None
    """The address of an S3 service other than Amazon's."""
    region: str | None = None
    retention_years: int = Field(default=10, ge=0, le=100)
    """How long an object in a bucket is locked from when it is written, together with `retention_days`."""
    retention_days: int = Field(default=0, ge=0, le=36_500)
    lock: Literal["compliance", "governance"] = "compliance"
    """Governance can be lifted by a right of the bucket's owner: for trials, refused in production."""
    anchor_seconds: float = Field(default=300.0, ge=0)
    """How often the API writes the newest checkpoint of each log to the archive where it grew; 0 for never."""
    tsa_url: str | None = None
    """Where RFC 3161 tokens over each segment's checkpoint are asked for."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None or (url.startswith("file:///") and len(url) > len("file:///")):
            return url
        if url.startswith(SCHEME):
            try:
                parse_address(url)
            except InvalidInput as error:
                raise ValueError(error.message) from error
            return url
        raise ValueError("write s3://bucket/prefix or file:///path")

    @field_validator("endpoint", "tsa_url")
    @classmethod
    def _check_http(cls, url: str | None) -> str | None:
        if url is not None and (not url.startswith(("https://", "http://")) or not urlsplit(url).hostname):
            raise ValueError("write https://host:port")
        return url

    @model_validator(mode="after")
    def _check_retention(self) -> ArchiveSettings:
        if not self.retention_years and not self.retention_days:
            raise ValueError("retention_years and retention_days are both 0: nothing would be locked")
        return self


class KeeperSettings(Room):
    """How the keeper of a key is reached, be it a token, a KMS, a Vault: each reads what begins with its name.

    Never a secret: of a PIN, of a password the file's path stands here.
    """

    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_key_label: str = ""
    pkcs11_key_id: str = ""
    """In hex; it or the label names the key, or both."""
    pkcs11_pin_file: str = ""
    awskms_key: str = ""
    """The key's ARN. Not an alias: that can be moved to another key."""
    awskms_endpoint: str = ""
    vault_url: str = ""
    vault_namespace: str = ""
    vault_mount: str = "transit"
    vault_key: str = ""
    vault_key_version: str = ""
    """The one version that is asked; the newest is another after each rotation."""
    vault_auth_mount: str = "approle"
    vault_role_id: str = ""
    vault_secret_id_file: str = ""
    vault_ca_file: str = ""
    vault_client_cert_file: str = ""
    vault_client_key_file: str = ""


class SigningSettings(KeeperSettings):
    """`ledger_core/signing`. What the proxy itself reads of it stands in `signer`, without pydantic."""

    backend: str = "software"
    """Who signs, a name of `ledger_core/signing/open.py`: read by the proxy, which takes it from its environment."""
    wait_seconds: float = Field(default=30.0, gt=0)
    """How long whoever posts or exports waits for the signature that covers it."""
    pause_seconds: float = Field(default=0.022, ge=0, le=1)
    """Between two signatures of a book in one process, where at least ten posts share the second: below 50 a second,
    those included that are asked for before it is known that many come, whatever the load. Longer for a key with a
    price per call; 0 asks as soon as the one before is back."""
    url: str | None = None
    """A signing proxy that somebody else runs, `https://host:port`; by default one of the home is started."""
    ca_file: Path | None = None
    """Who vouches for that proxy's certificate; PEM, as the next two are."""
    cert_file: Path | None = None
    """The certificate by which that proxy knows this process, with those between it and its authority."""
    key_file: Path | None = None
    """Its key."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("https://"):
            raise ValueError("write https://host:port")
        return url


class IngestSettings(Room):
    """`ingest`."""

    provider_account: str = "default"
    """The account at a provider that a landing belongs to when `--account` does not say."""
    time_zones: dict[str, str] = Field(default_factory=dict)
    """By source: the zone of reports that have their times in no column of UTC, as chosen at the provider; where
    labels stand beside times, of those that zones share. Default: the source's own."""
    stripe_url: str = "https://api.stripe.com"
    """The address of Stripe's API."""
    stripe_key_files: dict[str, Path] = Field(default_factory=dict)
    """By account: the file that holds a restricted key of Stripe's. Never the key itself."""

    @field_validator("time_zones", "stripe_key_files", mode="before")
    @classmethod
    def _read_json(cls, given: object) -> object:
        """Read what the environment says as text: a mapping is written as JSON there."""
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given)
        except ValueError as error:
            raise ValueError('write JSON, such as {"default": "..."}') from error

    @field_validator("stripe_url")
    @classmethod
    def _check_stripe_url(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")) or not urlsplit(url).hostname:
            raise ValueError("write https://host:port")
        return url

    @field_validator("time_zones")
    @classmethod
    def _check_zones(cls, zones: dict[str, str]) -> dict[str, str]:
        for source, zone in zones.items():
            try:
                ZoneInfo(zone)
            except (ValueError, ZoneInfoNotFoundError, OSError) as error:
                raise ValueError(f"{source}: no time zone {zone!r}; use a name such as America/New_York") from error
        return zones


class FileKeysSettings(KeeperSettings):
    """`ledger_core/base/wrapping`: who wraps the keys of landed files. What other back-ends are told may stand here
    too: what they wrapped before is still opened."""

    backend: Literal["file", "pkcs11", "awskms", "vault"] = "file"
    """`file` keeps the key-encryption key in the home; staging and production refuse it."""


class KafkaSettings(Room):
    """`ledger_core/relay`: how the brokers of `KAFKA_BOOTSTRAP_SERVERS` are reached, and what goes where."""

    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """As Kafka calls it. Staging and production want TLS."""
    ca_file: Path | None = None
    """Who vouches for the brokers' certificates; PEM, as the next two are. Default: whom the system trusts."""
    cert_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str = ""
    password_file: Path | None = None
    audit_topic: str = Field(default="finance.audit-events.v1", pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    """Where the log's records go. Another topic is another destination, told from the beginning."""


class WebhookSettings(Room):
    """`ingest/inbox`: what providers send, and who works it off.

    Secrets stand in files alone, one folder for each account at a provider (docs/runbooks/webhooks.md): what the
    environment holds every child reads.
    """

    folder: Path | None = None
    """Where those folders lie, `<provider>/<account>/`; default `webhooks` in the home, which staging and production
    refuse once something lies in it."""
    workers: int = Field(default=4, ge=1, le=64)
    """Threads of one worker process; several processes may run at once."""
    max_attempts: int = Field(default=12, ge=1, le=50)
    """Then an event is a dead letter. Twelve take about an hour and a half."""
    lease_seconds: float = Field(default=60.0, ge=1, le=3_600)
    """How long after a worker died its event is due again; longer than fetching and posting may take."""
    kept_days: int = Field(default=30, ge=0, le=3_650)
    """How long what an event said is kept after it was settled; that there was one, and what became of it, stays."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """A port of the loopback on which the worker answers `/metrics`; 0 for none."""


class ReconciliationSettings(Room):
    """`reconciliation`."""

    grace_business_days: int = Field(default=5, ge=0, le=60)


class OrchestrationSettings(Room):
    """`orchestration`."""

    port: int = Field(default=0, ge=0, le=65535)
    """The Dagster webserver's; 0 takes a free one."""
    first_close_on: date | None = None
    """The first day that may be closed: where the days of the nightly close begin. Default: the first with data."""


class ApiSettings(Room):
    """`api`."""

    port: int = Field(default=0, ge=0, le=65535)
    """0 takes a free one."""
    socket: Path | None = None
    """A Unix socket for `python -m api.server --socket`, behind a side-car; what staging and production want."""
    health_port: int = Field(default=0, ge=0, le=65535)
    """A listener of its own for health and metrics, which no flood of requests reaches; 0 for none."""
    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    public_log: bool = False
    """Serve checkpoints and hashes of every book without a token, for monitors; records never."""
