"""An API process that is told to end does not wait for an archive that never answers."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from api import anchoring
from api.anchoring import Anchoring
from ledger_core.evidence.anchor import Anchored


def test_a_turn_that_the_archive_keeps_waiting_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered = threading.Event(), threading.Event()

    def waiting(*_given: Any) -> Anchored:
        begun.set()
        answered.wait(20)
        return Anchored()

    monkeypatch.setattr(anchoring, "anchor_each", waiting)
    monkeypatch.setattr(anchoring, "CLOSE_SECONDS", 0.2)
    counted = SimpleNamespace(anchorings=SimpleNamespace(labels=lambda _: SimpleNamespace(inc=lambda: None)))
    running = Anchoring(SimpleNamespace(), counted, seconds=0.01)  # type: ignore[arg-type]
    running.start()
    assert begun.wait(10)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 5
    answered.set()
