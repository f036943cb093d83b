"""Parts of the inbox without I/O but files: pauses, traces, policies, accounts, secrets, templates."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.inbox.accounts import Accounts, ProviderAccount, read_account
from ingest.inbox.backoff import MAX_SECONDS, pause_seconds
from ingest.inbox.policy import Policy, read_policy
from ingest.inbox.port import Draft
from ingest.inbox.render import ROLES, TEMPLATES, external_id_of, render
from ingest.inbox.secrets import add_api_key, add_secret, list_secrets, retire_secret
from ingest.inbox.trace import trace_id_of
from ledger_core.errors import ConfigurationError, Conflict, DeliveryRefused, InvalidInput, NotFound
from ledger_core.journal.entries import check_balanced

SECRET = "whsec_0123456789"


def test_a_pause_doubles_up_to_an_hour_and_jitter_halves_it_at_most() -> None:
    full = [pause_seconds(attempts, random=lambda: 1.0) for attempts in range(1, 14)]
    assert full == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    assert pause_seconds(3, random=lambda: 0.0) == 4
    assert pause_seconds(1, random=lambda: 1.0, at_least=30) == 30
    assert pause_seconds(10_000, random=lambda: 1.0) == MAX_SECONDS


@pytest.mark.parametrize(
    "header", [None, "", "junk", f"ff-{'a' * 32}-{'b' * 16}-01", f"00-{'0' * 32}-{'b' * 16}-01",
               f"00-{'a' * 32}-{'0' * 16}-01", f"00-{'A' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'b' * 16}-01-more"],
)  # fmt: skip
def test_a_trace_that_cannot_be_read_begins_anew(header: str | None) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id_of(header))
    assert trace_id_of(header) != "a" * 32


def test_a_trace_that_can_be_read_is_kept_of_later_versions_too() -> None:
    assert trace_id_of(f"00-{'a' * 32}-{'b' * 16}-01") == "a" * 32
    assert trace_id_of(f" cc-{'a' * 32}-{'b' * 16}-01-what-will-be ") == "a" * 32


def test_the_longest_name_that_fits_says_what_is_done() -> None:
    policy = read_policy(
        {"default": "leave", "charge.*": "propose", "charge.dispute.*": "leave", "charge.updated": "post"}, file="f"
    )
    chosen = [policy.of(type) for type in ("payout.paid", "charge.captured", "charge.dispute.closed", "charge.updated")]
    assert chosen == ["leave", "propose", "leave", "post"]
    assert read_policy("propose", file="f").of("x") == "propose"


@pytest.mark.parametrize(
    "given", [7, {"charge.*": "pay"}, {"charge.*": None}, {7: "post"}, {"a b": "post"}, ["post"], "now"]
)
def test_a_policy_that_is_none_names_the_file(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^account\.yaml: `?policy"):
        read_policy(given, file="account.yaml")


def test_without_a_word_an_account_posts_once_it_has_a_secret() -> None:
    def choice(*secrets: str, **more: Any) -> str:
        account = ProviderAccount(provider="stripe", account="a", folder=Path("f"), secrets=secrets, **more)
        return account.choice("charge.succeeded")

    assert (choice(), choice(SECRET)) == ("leave", "post")
    assert choice(SECRET, policy=Policy(default="propose")) == "propose"
    assert choice(policy=Policy(choices={"*": "post"})) == "post"


def test_an_account_is_what_its_folder_says(tmp_path: Path) -> None:
    add_secret(tmp_path, "stripe", "eu", f" {SECRET}\n", name="one")
    add_api_key(tmp_path, "stripe", "eu", "rk_live_1234")
    folder = tmp_path / "stripe" / "eu"
    (folder / "account.yaml").write_text("book: second\ntolerance_seconds: 60\nchart: {fees: expenses:fees}\n")
    (folder / "secrets" / "..data").write_text("of a mount")
    found = Accounts(tmp_path).find("stripe", "eu")
    assert (found.secrets, found.api_key, found.book) == ((SECRET,), "rk_live_1234", "second")
    assert (found.tolerance_seconds, found.chart, found.name) == (60, {"fees": "expenses:fees"}, "stripe/eu")
    assert SECRET not in repr(found)
    assert "rk_live" not in repr(found)
    assert [each.name for each in Accounts(tmp_path).every()] == ["stripe/eu"]


@pytest.mark.parametrize("name", ["nobody", "..", "", "a/b", "x" * 64])
def test_who_is_not_set_up_is_expected_of_nobody(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        Accounts(tmp_path).find("stripe", name)
    assert caught.value.reason == "unknown_account"


def test_an_account_without_a_secret_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "stripe" / "eu" / "secrets").mkdir(parents=True)
    with pytest.raises(DeliveryRefused):
        Accounts(tmp_path).find("stripe", "eu")
    assert Accounts(tmp_path).look_up("stripe", "eu") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must be a mapping"), ("a: [", "no YAML"), ("pollicy: post", "unknown key 'pollicy'"),
        ("chart: 7", "`chart`"), ("chart: {fees: 7}", "`chart`"), ("book: 7", "`book`"), ("api_url: ''", "`api_url`"),
        ("tolerance_seconds: 0", "`tolerance_seconds`"), ("tolerance_seconds: true", "`tolerance_seconds`"),
    ],
)  # fmt: skip
def test_settings_that_are_none_name_the_file(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "stripe" / "eu"
    folder.mkdir(parents=True)
    (folder / "account.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        read_account(folder)
    assert caught.value.file == str(folder / "account.yaml")


def test_a_secret_that_everybody_may_read_is_refused_and_not_repeated(tmp_path: Path) -> None:
    add_secret(tmp_path, "stripe", "eu", SECRET, name="one")
    file = tmp_path / "stripe" / "eu" / "secrets" / "one"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o604)
    with pytest.raises(ConfigurationError, match="everybody may read") as caught:
        read_account(file.parent.parent)
    assert SECRET not in str(caught.value)
    file.chmod(0o640)
    assert read_account(file.parent.parent).secrets == (SECRET,)
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="no secret in it"):
        read_account(file.parent.parent)


def test_a_roll_needs_no_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.inbox.accounts.LOOK_SECONDS", 0.05)
    add_secret(tmp_path, "stripe", "eu", SECRET, name="old")
    accounts = Accounts(tmp_path)
    first = accounts.find("stripe", "eu")
    assert accounts.find("stripe", "eu") is first
    time.sleep(0.06)
    assert accounts.find("stripe", "eu") is first, "nothing changed"
    add_secret(tmp_path, "stripe", "eu", "whsec_the_new_one_", name="new")
    time.sleep(0.06)
    assert accounts.find("stripe", "eu").secrets == ("whsec_the_new_one_", SECRET)
    assert [each["name"] for each in list_secrets(tmp_path, "stripe", "eu")] == ["new", "old"]
    assert retire_secret(tmp_path, "stripe", "eu", "old") == 1
    time.sleep(0.06)
    assert accounts.find("stripe", "eu").secrets == ("whsec_the_new_one_",)


def test_a_secret_is_refused_that_is_none_or_counts_already_or_would_be_the_last(tmp_path: Path) -> None:
    for wrong in ("sk_live_0123456789", "", "whsec_"):
        with pytest.raises(InvalidInput, match="no secret of stripe"):
            add_secret(tmp_path, "stripe", "eu", wrong)
    with pytest.raises(InvalidInput, match="no provider"):
        add_secret(tmp_path, "braintree", "eu", SECRET)
    with pytest.raises(InvalidInput, match="no name of an account"):
        add_secret(tmp_path, "stripe", "../eu", SECRET)
    with pytest.raises(InvalidInput, match="is called by"):
        add_secret(tmp_path, "stripe", "eu", SECRET, name="../x")
    with pytest.raises(InvalidInput, match="no API key"):
        add_api_key(tmp_path, "stripe", "eu", "two words here")
    assert list(tmp_path.iterdir()) == []
    add_secret(tmp_path, "stripe", "eu", SECRET, name="one")
    for text, name in ((SECRET, "two"), ("whsec_another_of_them", "one")):
        with pytest.raises(Conflict):
            add_secret(tmp_path, "stripe", "eu", text, name=name)
    with pytest.raises(Conflict, match="the last one"):
        retire_secret(tmp_path, "stripe", "eu", "one")
    with pytest.raises(NotFound):
        retire_secret(tmp_path, "stripe", "eu", "two")
    assert retire_secret(tmp_path, "stripe", "eu", "one", last=True) == 0


def test_more_secrets_than_a_roll_needs_are_refused(tmp_path: Path) -> None:
    for number in range(8):
        add_secret(tmp_path, "stripe", "eu", f"{SECRET}{number}", name=f"s{number}")
    with pytest.raises(Conflict, match="MAX_SECRETS"):
        add_secret(tmp_path, "stripe", "eu", f"{SECRET}8")
    (tmp_path / "stripe" / "eu" / "secrets" / "by_hand").write_text(SECRET)
    with pytest.raises(ConfigurationError, match="9 secrets"):
        read_account(tmp_path / "stripe" / "eu")


ACCOUNT = ProviderAccount(
    provider="stripe", account="eu", folder=Path("f"), secrets=(),
    chart={role: f"{role}:{{account}}:{{currency}}" for role in ROLES},
)  # fmt: skip
AMOUNTS = st.integers(min_value=-(2**40), max_value=2**40)


def draft(template: str, gross: int, fee: int) -> Draft:
    came = TEMPLATES[template][0][1] == "clearing"
    return Draft(
        template=template, key="x_1", effective_at=datetime(2026, 1, 2, tzinfo=UTC), currency="USD", description="d",
        fields={"gross": gross, "fee": fee, "net": gross - fee if came else gross + fee},
    )  # fmt: skip


@given(template=st.sampled_from(sorted(TEMPLATES)), gross=AMOUNTS, fee=AMOUNTS)
def test_every_template_balances_whatever_the_signs(template: str, gross: int, fee: int) -> None:
    made = draft(template, gross, fee)
    if not any(made.fields[name] for _, _, name in TEMPLATES[template]):
        with pytest.raises(InvalidInput, match="of nothing"):
            render(made, ACCOUNT, trace_id="a" * 32, event_id="evt_1")
        return
    entry = render(made, ACCOUNT, trace_id="a" * 32, event_id="evt_1")
    check_balanced(entry)
    assert all(posting.amount_minor > 0 for posting in entry.postings)
    assert entry.external_id == external_id_of(made, ACCOUNT) == f"stripe:eu:x_1:{template}"


def test_an_account_is_filled_in_by_currency_and_account() -> None:
    entry = render(draft("payout_paid", 5, 0), ACCOUNT, trace_id="a" * 32, event_id="evt_1")
    assert [posting.account for posting in entry.postings] == ["in_transit:eu:usd", "clearing:eu:usd"]
    assert dict(entry.metadata) == {
        "reference": "x_1", "template": "payout_paid", "event_id": "evt_1", "trace_id": "a" * 32,
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="no template"):
        render(Draft(template="x", key="k", effective_at=datetime.now(UTC), currency="USD", fields={}, description=""),
               ACCOUNT, trace_id="a" * 32, event_id="e")  # fmt: skip
