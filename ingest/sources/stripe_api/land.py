"""Stripe's API as a source that can be landed."""

from __future__ import annotations

from ingest.contract.rows import Source
from ingest.sources.stripe_api.contract import CONTRACT
from ingest.sources.stripe_api.parse import parse

SOURCE = Source(contract=CONTRACT, parse=parse)
