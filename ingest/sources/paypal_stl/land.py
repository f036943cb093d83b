"""PayPal's settlement report as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.paypal_stl.contract import CONTRACT
from ingest.sources.paypal_stl.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
