"""Samples in memory: the pure part of the generator, and the brute-force reading that judges it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

from sample.model import Request
from sample.render import Rendering

START = date(2026, 10, 1)

Files = Mapping[str, bytes]


@lru_cache(maxsize=64)
def _files(days: int, per_day: int, seed: int, clean: bool, start: date) -> Files:
    request = Request(days=days, per_day=per_day, seed=seed, clean=clean, start=start)
    gathered: dict[str, list[bytes]] = {}
    for name, chunk in Rendering(request).chunks():
        gathered.setdefault(name, []).append(chunk)
    return {name: b"".join(chunks) for name, chunks in gathered.items()}


@pytest.fixture(scope="session")
def make_files() -> Callable[..., Files]:
    """Return a function that makes a sample's files by name."""

    def make(*, days: int = 21, per_day: int = 60, seed: int = 1, clean: bool = False, start: date = START) -> Files:
        return _files(days, per_day, seed, clean, start)

    return make


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The brute-force reconciliation beside this file."""
    spec = importlib.util.spec_from_file_location("sample_oracle", Path(__file__).with_name("oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # slotted dataclasses look their module up
    spec.loader.exec_module(module)
    return module
