"""BAI2 reports as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.bai2.contract import CONTRACT
from ingest.sources.bai2.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
