"""Adyen's settlement report as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.adyen_settlement.contract import CONTRACT
from ingest.sources.adyen_settlement.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
