"""MT940 statements as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.mt940.contract import CONTRACT
from ingest.sources.mt940.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
