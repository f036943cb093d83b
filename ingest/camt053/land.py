"""Bank statements as a source that can be landed."""

from __future__ import annotations

from ingest.camt053.contract import CONTRACT
from ingest.camt053.parse import parse
from ingest.rows import Source

SOURCE = Source(contract=CONTRACT, parse=parse)
