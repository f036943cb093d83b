"""What a reconciliation run saw and came to: its manifest. The tables of runs belong to the room that runs them."""

from __future__ import annotations

from ledger_core.kinds import Kind
from ledger_core.log.shapes import SHAPES

RECONCILIATION_RUN = Kind(name="reconciliation_run", shape=SHAPES["reconciliation_run"], scope="reconciliation:run")
