"""Bank statements as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.camt053.contract import CONTRACT
from ingest.sources.camt053.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
