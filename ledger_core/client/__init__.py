"""The typed HTTP client, and the ledger behind HTTP."""

from ledger_core.client.ledger_client import AsyncLedgerClient, LedgerClient
from ledger_core.client.retries import Retries

__all__ = ["AsyncLedgerClient", "LedgerClient", "Retries"]
