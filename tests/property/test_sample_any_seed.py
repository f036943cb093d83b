"""Whatever the seed, the size and the day it starts: brute force over the files finds exactly what was planted."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

from sample.model import Request
from sample.render import Rendering

ORACLE = Path(__file__).parents[1] / "unit" / "sample" / "oracle.py"


def _load_oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_oracle", ORACLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


oracle = _load_oracle()

requests = st.builds(
    Request,
    days=st.integers(1, 40),
    per_day=st.integers(1, 60),
    seed=st.integers(-(2**63), 2**63),
    clean=st.booleans(),
    start=st.dates(date(2024, 1, 1), date(2030, 12, 31)),
)


def _files(request: Request) -> dict[str, bytes]:
    gathered: dict[str, list[bytes]] = {}
    for name, chunk in Rendering(request).chunks():
        gathered.setdefault(name, []).append(chunk)
    return {name: b"".join(chunks) for name, chunks in gathered.items()}


@settings(max_examples=30, deadline=None)
@given(request=requests, cut=st.integers(1, 45))
def test_brute_force_finds_what_was_planted_and_a_cut_invents_nothing(request, cut):
    files = _files(request)
    truth = json.loads(files["truth.json"])

    verdict = oracle.reconcile(files)

    assert verdict.breaks == truth["breaks"]
    assert verdict.as_of.isoformat() == truth["as_of"]
    if request.clean:
        assert verdict.name == "reconciled"
    elif request.days >= 14:
        assert min(truth["counts"].values()) >= 5
        assert len(truth["counts"]) == 8
    earlier = oracle.reconcile(files, max(request.start, verdict.as_of - timedelta(days=cut)))
    assert all(found in truth["breaks"] for found in earlier.breaks)
