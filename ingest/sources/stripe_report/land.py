"""Stripe's reports as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.stripe_report.contract import CONTRACT
from ingest.sources.stripe_report.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
