"""Which store is the archive: a folder or a bucket, by one setting. Nothing is opened or asked here."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ledger_core.base.objects.file import FileStore
from ledger_core.base.objects.s3 import S3Store
from ledger_core.log.bucket import SCHEME
from ledger_core.services import archive_mode

if TYPE_CHECKING:
    from pathlib import Path

    from ledger_core.base.objects.s3 import Clock
    from ledger_core.settings import Settings

DAYS_PER_YEAR = 365.25


def open_archive(settings: Settings, clock: Clock) -> FileStore | S3Store:
    """Return the store that `settings` name."""
    address = settings.archive_address
    if not address.startswith(SCHEME):
        return FileStore(_path(address), mode=archive_mode(settings))
    chosen = settings.archive
    return S3Store(
        address,
        retention=timedelta(days=chosen.retention_years * DAYS_PER_YEAR + chosen.retention_days),
        clock=clock,
        mode=chosen.lock.upper(),
        requires_compliance=settings.env == "production",
        endpoint=chosen.endpoint,
        region=chosen.region,
    )


def _path(address: str) -> Path:
    from pathlib import Path

    return Path(url2pathname(urlsplit(address).path))
