"""Stripe's reports as a source that can be landed."""

from __future__ import annotations

from ingest.rows import Source
from ingest.stripe_report.contract import CONTRACT
from ingest.stripe_report.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
