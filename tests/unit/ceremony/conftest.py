"""A home whose proxy has signed two logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ceremony.homes import MAIN, SIDE, sign, start


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose proxy has signed two logs."""
    made = tmp_path / "home"
    made.mkdir()
    service = start(made)
    sign(service, MAIN, 0, 10)
    sign(service, SIDE, 0, 3)
    service.close()
    return made
