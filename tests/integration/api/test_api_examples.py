"""Every example of the API's page, sent as it stands and from top to bottom, to books made with the demo's chart."""

import json

import pytest
import yaml

from ledger_core.actor import Actor
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from sample.chart import render_chart
from sample.model import Channel

pytestmark = pytest.mark.integration


@pytest.fixture
def demo_books(api, http):
    """The books with the chart that `counterfoil demo` applies, as far as they have it not."""
    known = {account["code"] for account in http.get("/finance/accounts", params={"limit": 500}).json()["accounts"]}
    chart = yaml.safe_load(render_chart(book="main", channels=(Channel("stripe"),)))["accounts"]
    missing = [account_draft(**account) for account in chart if account["code"] not in known]
    apply_accounts(api.runtime.ledger(), missing, Ask(actor=Actor(subject="tests")))


def test_every_example_of_the_page_works_from_top_to_bottom(http, demo_books):
    document = http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    sent = []
    for path, operations in document["paths"].items():
        if path.startswith("/finance/webhooks/"):
            continue  # only a provider can sign one
        for method, operation in operations.items():
            where, headers, body = path, {}, None
            for parameter in operation.get("parameters", []):
                if not parameter.get("required"):
                    continue
                assert "example" in parameter, f"{method} {path} {parameter['name']}"
                value = str(parameter["example"])
                if parameter["in"] == "path":
                    where = where.replace("{" + parameter["name"] + "}", value)
                else:
                    assert parameter["in"] == "header", parameter
                    headers[parameter["name"]] = value
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = schemas[content["schema"]["$ref"].rpartition("/")[2]]["examples"][0]
            if operation["operationId"] == "post_journal_entry":
                headers["Idempotency-Key"] = "example-of-the-page"
            answer = http.request(method.upper(), where, headers=headers, json=body)
            assert answer.status_code in (200, 201), f"{method} {where}: {answer.text}"
            if operation["operationId"] == "post_journal_entries":
                assert answer.json()["refused"] == 0, json.dumps(answer.json())
            if operation["operationId"] == "verify":
                assert answer.json()["verdict"] == "verified"
            sent.append(operation["operationId"])
    assert {"post_journal_entry", "reverse_journal_entry", "get_journal_entry_proof", "change_account"} <= set(sent)
