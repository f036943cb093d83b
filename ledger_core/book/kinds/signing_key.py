"""A change of the keys that sign the log, so that the log itself says which key counts from which size on."""

from __future__ import annotations

from ledger_core.kinds import Kind
from ledger_core.log.shapes import SHAPES

SIGNING_KEY = Kind(name="signing_key", shape=SHAPES["signing_key"], scope="keys:admin")
