"""Unit tests do no I/O: a socket opened by accident is an error."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Close the network for every unit test."""
