"""The verification report as an auditor opens it: in a browser, without the network, whatever an export was called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log.findings import Failure, LogVerdict, SegmentVerdict, Signer, TrustUsed, VerificationReport
from ledger_core.log.report_files import write_report

pytestmark = [
    pytest.mark.browser,
    # Playwright's event loop leaves its own sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOSTILE = '"><script>document.title="owned"</script><img src="https://elsewhere.example/x" onerror="document.title=1">'


def report_of(text: str, *, failed: bool) -> VerificationReport:
    report = VerificationReport(path=f"/archives/{text}", verified_at="2026-11-27T03:00:00Z")
    report.trust = TrustUsed(file=f"/desk/{text}.json", origin="ledger.example/prod/*", threshold=2, roots=("ab" * 32,))
    for number, verdict in enumerate(["verified", "edited" if failed else "verified", "verified"]):
        report.add_segment(
            SegmentVerdict(
                folder=f"{number:010}-{number * 1000}-{number * 1000 + 1000} {text}",
                origin="ledger.example/prod/main",
                segment=number,
                closed_on=f"2026-10-{number + 1:02}",
                first_seq=number * 1000,
                next_seq=number * 1000 + 1000,
                records=1_000,
                entries=990,
                verdict=verdict,
            )
        )
    for name, size in (("main", 3_000), ("eu", 1_248_211)):
        report.logs.append(
            LogVerdict(
                origin=f"ledger.example/prod/{name}", verdict="verified", segments=3, records=size, entries=size - 9,
                first_seq=0, size=size, root="A" * 43 + "=",
            )
        )  # fmt: skip
    report.origins += ["ledger.example/prod/main", text]
    report.segments, report.records, report.entries, report.accounts, report.first_seq = 3, 3_000, 2_970, 41, 0
    report.size, report.root = 3_000, "mUEKQofLQ86eXv9GeTGbN2bjpZDw9/D9+M7Q2mcQ6F8="
    report.totals = {"EUR": (12_345_678_901, 12_345_678_901), "USD": (5, 5 + failed)}
    report.signers = [Signer(key_id="cd" * 32, alg="ecdsa-p256-sha256", assurance="kms", backend=text, status="active")]
    report.notes.append(f"this speaks of {text} up to size 3000")
    if failed:
        report.add(
            Failure(verdict="edited", seq=1_204, where=f"{text}/records.jsonl.gz", detail=f"not as signed {text}")
        )
    return report


@pytest.mark.parametrize("failed", [False, True])
def test_the_page_shows_what_it_should_and_runs_nothing(
    watched: Callable[[str], Any], tmp_path: Path, failed: bool
) -> None:
    path = tmp_path / "report.html"
    write_report(report_of(HOSTILE, failed=failed), path)
    seen = watched(path.as_uri())
    assert seen.asked_elsewhere == []
    assert seen.said == []
    assert seen.page.title().startswith("edited" if failed else "verified")
    assert seen.page.locator("script, img").count() == 0
    assert seen.page.locator(".stamp").inner_text() == ("EDITED" if failed else "VERIFIED")
    assert seen.page.get_by_text("12,345,678,901").count() == 2
    assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing runs off the page"


def test_it_prints_on_a_few_pages(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(report_of("plain", failed=True), path)
    page = browser.new_page()
    page.goto(path.as_uri())
    printed = page.pdf(format="A4")
    page.close()
    assert printed.startswith(b"%PDF")
    assert 1 <= printed.count(b"/Type /Page\n") <= 4
