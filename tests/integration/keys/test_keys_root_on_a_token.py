"""A root that lies on a token: its holder signs by naming the back-end, and the token's key counts like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger_core.ceremony.drafts import RootChange, Wish
from ledger_core.ceremony.offline import read_public, sign_file
from ledger_core.ceremony.run import install_files, listing, make_draft
from tests.e2e.site.token import PIN, Token, make_token
from tests.integration.keys.conftest import ME
from tests.integration.signing_tls.conftest import FOLDER

pytestmark = pytest.mark.integration


@pytest.fixture
def token(tmp_path: Path) -> Token:
    made = make_token(tmp_path / "token")
    made.make("root")
    return made


def sign_root(token: Token, draft: Path, out: Path, *, key: str = "root", **changed: str) -> Any:
    """Sign as the token's holder: no home, nothing in the environment but what names the token."""
    told = {"PATH": os.environ["PATH"], **token.settings(key, module=token.bare), **changed}
    words = ["keys", "sign-root", "--key", "pkcs11", "--draft", str(draft), "--out", str(out)]
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words], env=told, cwd=FOLDER, capture_output=True, text=True, check=False
    )


def test_a_root_on_a_token_takes_over_and_rotates_a_key(company: Any, token: Token, tmp_path: Path) -> None:
    public = tmp_path / "root.pub"
    public.write_bytes(token.public_pem("root"))
    draft, files = tmp_path / "draft", [tmp_path / "old.sig", tmp_path / "token.sig"]
    roots = RootChange(add=[public], remove=[listing(company.runtime)["roots"]["keys"][0]])
    draft.write_bytes(make_draft(company.runtime, Wish(action="roots", roots=roots)))
    sign_file(str(company.signer / "root.pem"), draft, files[0], show=lambda _line: None)
    done = sign_root(token, draft, files[1])
    assert done.returncode == 0, done.stderr
    assert f"signed by {read_public(public).key_id}, one of its roots" in done.stdout
    assert install_files(company.runtime, files, actor=ME).change.action == "roots"
    draft.write_bytes(make_draft(company.runtime, Wish(action="rotate")))
    assert sign_root(token, draft, files[1]).returncode == 0
    before = company.key_id()
    install_files(company.runtime, files[1:], actor=ME)
    assert (company.key_id() != before, company.version()) == (True, 3)
    company.post()
    company.require_sound()
    assert PIN not in json.dumps([done.stdout, done.stderr])


@pytest.mark.parametrize(
    ("key", "changed", "said"),
    [
        ("nobody", {}, "not found"),
        ("root", {"COUNTERFOIL_SIGNING__PKCS11_TOKEN": "another"}, "token absent"),
        ("root", {"COUNTERFOIL_SIGNING__PKCS11_MODULE": "/nowhere/lib.so"}, "there is no library of the token"),
        ("root", {"COUNTERFOIL_SIGNING__PKCS11_PIN_FILE": "/nowhere/pin"}, "no PIN"),
    ],
)
def test_a_token_that_cannot_sign_is_said_in_a_sentence_and_nothing_is_written(
    company: Any, token: Token, tmp_path: Path, key: str, changed: dict[str, str], said: str
) -> None:
    draft = tmp_path / "draft"
    draft.write_bytes(make_draft(company.runtime, Wish(action="rotate")))
    done = sign_root(token, draft, tmp_path / "sig", key=key, **changed)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert not (tmp_path / "sig").exists()
