"""Our formats as others read them: a verifier in Node that shares no code with ours."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ledger_core.log.keys import TrustFile, parse_trust
from ledger_core.log.note import PublicKey, decode_base64, parse_note, verify_note
from ledger_core.log.verifier import verify_path

VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors"
VERIFIER = Path(__file__).with_name("verify.mjs")

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def node(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(["node", VERIFIER, *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(VECTORS))
    spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """The published segment as a folder, and its trust file beside it."""
    vector = load("segment.json")
    folder = tmp_path / vector["folder"]
    folder.mkdir(parents=True)
    put(folder, vector["files"])
    (tmp_path / "trust.json").write_text(json.dumps(vector["trust"]))
    return folder


def put(folder: Path, files: dict[str, str]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(decode_base64(data))


def test_the_published_vectors_are_those_that_the_sources_make(maker: ModuleType) -> None:
    for name, content in maker.files().items():
        assert (VECTORS / name).read_text() == content, f"{name}: run docs/formats/vectors/make.py"


@needs_node
def test_the_second_verifier_agrees_with_every_vector() -> None:
    status, answer = node("vectors", VECTORS)
    assert (status, answer["verdict"]) == (0, "verified"), answer
    assert answer["vectors"] > 250


@needs_node
def test_the_second_verifier_agrees_on_a_segment_and_on_damage_to_it(segment: Path, tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    assert node("segment", segment, "--trust", trust)[0] == 0
    vector = load("segment.json")
    for case in vector["damaged"]:
        put(segment, {**vector["files"], **case["files"]})
        status, answer = node("segment", segment, "--trust", trust)
        assert (status, answer["verdict"]) == (1, "failed"), case["verdict"]
    put(segment, vector["files"])
    moved = segment.parents[1] / "30" / segment.name
    moved.parent.mkdir()
    segment.rename(moved)
    assert node("segment", moved, "--trust", trust)[0] == 1


def test_our_verifier_names_the_damage_as_published(segment: Path, tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    assert verify_path(tmp_path, trust).verdict == "verified"
    vector = load("segment.json")
    for case in vector["damaged"]:
        put(segment, {**vector["files"], **case["files"]})
        assert verify_path(tmp_path, trust).verdict == case["verdict"]


@pytest.mark.parametrize("case", load("segment.json")["forged"], ids=lambda case: case["what"])
def test_our_verifier_names_each_forged_segment_as_published(tmp_path: Path, case: dict[str, Any]) -> None:
    vector = load("segment.json")
    folder = tmp_path / case.get("folder", vector["folder"])
    folder.mkdir(parents=True)
    put(folder, {**vector["files"], **case["files"]})
    trust = parse_trust(json.dumps(case.get("trust", vector["trust"])).encode())
    report = verify_path(tmp_path, trust)
    assert report.verdict == case["verdict"], report.as_lines()


@pytest.mark.parametrize("case", load("proof.json")["forged"], ids=lambda case: case["what"])
def test_our_verifier_names_each_forged_proof_as_published(tmp_path: Path, case: dict[str, Any]) -> None:
    trust = parse_trust(json.dumps(load("proof.json")["trust"]).encode())
    (tmp_path / "bundle.json").write_text(json.dumps(case["bundle"]))
    report = verify_path(tmp_path / "bundle.json", trust)
    assert report.verdict == case["verdict"], report.as_lines()


@pytest.mark.parametrize("case", load("proof.json")["forged_tlog_proofs"], ids=lambda case: case["what"])
def test_our_verifier_names_each_forged_tlog_proof_as_published(tmp_path: Path, case: dict[str, Any]) -> None:
    vector = load("proof.json")
    (tmp_path / "keys.jsonl").write_text("".join(json.dumps(item) + "\n" for item in vector["keys"]))
    (tmp_path / "one.tlog-proof").write_bytes(case["tlog_proof"].encode())
    report = verify_path(tmp_path / "one.tlog-proof", parse_trust(json.dumps(vector["trust"]).encode()))
    assert report.verdict == case["verdict"], report.as_lines()
    assert report.exit_status


@needs_node
def test_the_second_verifier_reads_both_proofs_as_files(tmp_path: Path) -> None:
    vector = load("proof.json")
    trust, bundle, proof = tmp_path / "trust.json", tmp_path / "bundle.json", tmp_path / "one.tlog-proof"
    trust.write_text(json.dumps(vector["trust"]))
    bundle.write_text(json.dumps(vector["bundle"]))
    proof.write_text(vector["tlog_proof"])
    assert node("proof", bundle, "--trust", trust) == (0, {"verdict": "verified", "records": 3})
    assert node("proof", proof, "--trust", trust)[0] == 1, "no keys beside it"
    (tmp_path / "keys.jsonl").write_text("".join(json.dumps(item) + "\n" for item in vector["keys"]))
    assert node("proof", proof, "--trust", trust) == (0, {"verdict": "verified", "records": 1})
    proof.write_text(vector["forged_tlog_proofs"][0]["tlog_proof"])
    assert node("proof", proof, "--trust", trust)[0] == 1


def test_our_verifier_takes_the_published_proofs(tmp_path: Path) -> None:
    vector = load("proof.json")
    trust = parse_trust(json.dumps(vector["trust"]).encode())
    assert isinstance(trust, TrustFile)
    (tmp_path / "keys.jsonl").write_text("".join(json.dumps(item) + "\n" for item in vector["keys"]))
    (tmp_path / "one.tlog-proof").write_text(vector["tlog_proof"])
    (tmp_path / "bundle.json").write_text(json.dumps(vector["bundle"]))
    assert verify_path(tmp_path / "one.tlog-proof", trust).verdict == "verified"
    assert verify_path(tmp_path / "bundle.json", trust).verdict == "verified"


def test_our_notes_are_judged_as_published() -> None:
    vector = load("checkpoint.json")
    for published in (vector, vector["ed25519"]):
        key = PublicKey(decode_base64(published["spki"]))
        assert key.key_id == published["key_id"]
        for case in published["notes"]:
            signed = verify_note(parse_note(case["note"]), vector["origin"], [key])
            assert (signed == [published["key_id"]]) is case["holds"], case["what"]


def test_the_verifier_in_one_file_runs_apart_from_the_sources(segment: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "ledger_core.log.build_verifier"]
    out = [tmp_path / name for name in ("one.pyz", "two.pyz")]
    root = VECTORS.parents[2]
    for path in out:
        subprocess.run([*build, path], check=True, capture_output=True, timeout=60, cwd=root)
    assert out[0].read_bytes() == out[1].read_bytes(), "its hash can be published"

    def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        # -I: neither the working directory nor an installed package can stand in for what the file holds.
        command = [sys.executable, "-I", str(out[0]), *map(str, arguments), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
        return done.returncode, json.loads(done.stdout)

    trust = tmp_path / "trust.json"
    status, report = run(segment, "--trust", trust)
    assert (status, report["verdict"], report["records"]) == (0, "verified", 13)
    vector = load("segment.json")
    put(segment, vector["damaged"][0]["files"])
    status, report = run(segment, "--trust", trust)
    assert (status, report["verdict"], report["failures"][0]["seq"]) == (1, "edited", 5)
    assert run(segment, "--trust", tmp_path / "absent.json")[0] == 2


UNFOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ledger_core.log.unfolding import SecondProcess, Unfolded
second, ended = SecondProcess(), Unfolded()
blocks = list(second.unfold(Path(sys.argv[2]), 10**9, ended))
second.close()
print(sum(block.count for block in blocks), ended.problem, sys.modules["ledger_core"].__file__)
"""


def test_the_verifier_in_one_file_has_a_second_process_and_a_page(segment: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.pyz"
    build = [sys.executable, "-m", "ledger_core.log.build_verifier", one]
    subprocess.run(build, check=True, capture_output=True, timeout=60, cwd=VECTORS.parents[2])
    command = [sys.executable, "-I", "-c", UNFOLD, one, segment / "records.jsonl.gz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True)
    count, problem, file = done.stdout.split()
    assert (count, problem) == ("13", "None")
    assert file.startswith(str(one)), "nothing but the file was imported"
    command = [sys.executable, "-I", one, segment, "--trust", tmp_path / "trust.json", "--report", tmp_path / "r.html"]
    subprocess.run(command, capture_output=True, timeout=60, cwd=tmp_path, check=True)
    assert "VERIFIED" in (tmp_path / "r.html").read_text()
    version = importlib.metadata.version("counterfoil")
    assert f"counterfoil {version}" in (tmp_path / "r.html").read_text(), "as it was built"
