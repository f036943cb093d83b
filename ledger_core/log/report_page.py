"""The verification report as one HTML page, made of the report's JSON and nothing else.

It holds no script and no address, and its own policy forbids both, so that it can be kept, mailed and printed. Each
text that came with what was verified is escaped; which colour a verdict has is chosen among fixed words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]
_TONES = {0: "good", 1: "bad", 2: "wait"}
_WORDS = {
    0: "Everything that was asked for holds.",
    1: "Something here is not what was signed.",
    2: "It could not be told whether this holds.",
}


def report_page(report: Json) -> str:
    """Return the page of `report`, which `VerificationReport.as_json` made."""
    tone = _TONES[report["exit_status"]]
    verdict = str(report["verdict"])
    parts = [
        '<header class="top"><div>',
        f"<h1>Verification of {_origins(report)}</h1>",
        f'<p class="soft"><code>{_text(report["path"])}</code></p></div>',
        f'<div class="stamp {tone}">{_text(verdict.replace("_", " ").upper())}</div></header>',
        _summary(report),
        _signed_report(report),
        _failures(report),
        _logs(report),
        _totals(report),
        _keys(report),
        _trust(report),
        _segments(report),
        _notes(report),
        f"<footer>Written by {_text(report['software']['name'])} {_text(report['software']['version'])} on "
        f"{_text(report['verified_at'])}. A report says what one program found on one machine: whoever must rely on "
        "it runs the verification again.</footer>",
    ]
    body = "\n".join(part for part in parts if part)
    return _PAGE.format(title=_text(f"{verdict}: {report['path']}"), style=_STYLE, body=body)


def _summary(report: Json) -> str:
    rows = [("Verdict", f"{_text(report['verdict'])}. {_WORDS[report['exit_status']]}")]
    if report["size"] is not None:
        rows.append(
            ("Speaks up to", f"size {_number(report['size'])}: the records before seq {_number(report['size'])}")
        )
        rows.append(("Root at that size", f"<code>{_text(report['root'])}</code>"))
    if report["first_seq"] is not None:
        rows.append(("Begins at", f"seq {_number(report['first_seq'])}"))
    if report["segments"]:
        rows.append(("Segments", _number(report["segments"])))
    if report["proofs"]:
        rows.append(("Records proved", _number(report["proofs"])))
    if report["records"]:
        rows.append(("Records recomputed", _number(report["records"])))
        rows.append(("Journal entries", f"{_number(report['entries'])} over {_number(report['accounts'])} accounts"))
    stamps = report["timestamps"]
    if stamps["verified"]:
        rows.append(("Time-stamps", f"{_number(stamps['verified'])} hold, the newest over {_text(stamps['newest'])}"))
    rows += [("Time-stamps not judged", f"{_number(n)}: {_text(why)}") for why, n in stamps["unjudged"].items()]
    listed = "".join(f"<tr><th>{_text(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return _card("What was found", f'<table class="facts">{listed}</table>')


def _signed_report(report: Json) -> str:
    said = report["signed_report"]
    if said is None:
        return ""
    rows = [
        ("Verdict", _verdict_tag(said["verdict"])),
        ("Of", f"<code>{_text(said['path'])}</code>"),
        ("Logs", ", ".join(_text(origin) for origin in said["origins"])),
        ("Speaks up to", "" if said["size"] is None else f"size {_number(said['size'])}"),
        ("Root at that size", f"<code>{_text(said['root'] or '')}</code>"),
        ("Verified", f"on {_text(said['verified_at'])} by {_text(said['software'])}"),
        ("Signed by", "<br>".join(f"<code>{_text(key)}</code>" for key in said["keys"])),
        (
            "Whose key",
            "the company's, by its registry" if said["signed_by"] == "registry" else "as the reader named it",
        ),
    ]
    listed = "".join(f"<tr><th>{_text(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return _card("What the signed report says", f'<table class="facts">{listed}</table>')


def _failures(report: Json) -> str:
    found = report["failures"]
    if not found:
        return ""
    rows = [
        (_tag(item["verdict"], "bad"), _text(item["where"]), "" if item["seq"] is None else _number(item["seq"]),
         _text(item["detail"]))
        for item in found
    ]  # fmt: skip
    more = report["failures_not_listed"]
    rest = f'<p class="soft">and {_number(more)} more, not listed</p>' if more else ""
    return _card("Failures", _table(("Verdict", "Where", "Seq", "What is wrong"), rows, numbers={2}) + rest)


def _logs(report: Json) -> str:
    if len(report["logs"]) < 2:
        return ""
    rows = [
        (_text(item["origin"] or "unknown"), _verdict_tag(item["verdict"]), _number(item["segments"]),
         _number(item["records"]), _number(item["entries"]), _number(item["size"]))
        for item in report["logs"]
    ]  # fmt: skip
    head = ("Log", "Verdict", "Segments", "Records", "Entries", "Size")
    return _card("Logs", _table(head, rows, numbers={2, 3, 4, 5}))


def _totals(report: Json) -> str:
    if not report["totals"]:
        return ""
    rows = [
        (_text(item["currency"]), _digits(item["debits"]), _digits(item["credits"]),
         "equal" if item["debits"] == item["credits"] else _tag("they differ", "bad"))
        for item in report["totals"]
    ]  # fmt: skip
    head = ("Currency", "Debits", "Credits", "")
    return _card("Totals in minor units", _table(head, rows, numbers={1, 2}))


def _keys(report: Json) -> str:
    if not report["signers"]:
        return ""
    rows = [
        (f"<code>{_text(item['key_id'])}</code>", _text(item["alg"]), _text(item["assurance"]), _text(item["backend"]),
         _text(item["status"]))
        for item in report["signers"]
    ]  # fmt: skip
    return _card("Keys whose signatures counted", _table(("Key", "Algorithm", "Assurance", "Kept by", "Status"), rows))


def _trust(report: Json) -> str:
    trust = report["trust"]
    if trust is None:
        return _card("Trust", "<p>Nothing was pinned.</p>")
    rows = [
        ("Trust file", f"<code>{_text(trust['file'] or 'held by the caller')}</code>"),
        ("Speaks for", _text(trust["origin"])),
        ("Roots that must agree", f"{_number(trust['threshold'])} of {_number(len(trust['roots']))}"),
        ("Roots", "<br>".join(f"<code>{_text(root)}</code>" for root in trust["roots"])),
        ("Lowest registry version", _number(trust["registry_version"])),
    ]
    listed = "".join(f"<tr><th>{_text(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return _card("Trust", f'<table class="facts">{listed}</table>')


def _segments(report: Json) -> str:
    if not report["segment_list"]:
        return ""
    rows = [
        (_number(item["segment"]), _text(item["closed_on"] or ""), _text(item["folder"]), _number(item["first_seq"]),
         _number(item["next_seq"]), _number(item["records"]), _number(item["entries"]), _verdict_tag(item["verdict"]))
        for item in report["segment_list"]
    ]  # fmt: skip
    head = ("No.", "Closed on", "Folder", "First seq", "Next seq", "Records", "Entries", "Verdict")
    more = report["segments_not_listed"]
    rest = f'<p class="soft">and {_number(more)} more, not listed</p>' if more else ""
    return _card("Segments", _table(head, rows, numbers={0, 3, 4, 5, 6}) + rest, is_long=True)


def _notes(report: Json) -> str:
    if not report["notes"]:
        return ""
    return _card("Notes", "<ul>" + "".join(f"<li>{_text(note)}</li>" for note in report["notes"]) + "</ul>")


def _origins(report: Json) -> str:
    return ", ".join(_text(origin) for origin in report["origins"]) or "what could not be told"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Return a table; cells are HTML already, the head is not."""
    right = frozenset(numbers)
    kinds = ['class="num"' if index in right else "" for index in range(len(head))]
    heads = "".join(f"<th {kind}>{_text(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _card(title: str, content: str, *, is_long: bool = False) -> str:
    kind = "card long" if is_long else "card"
    return f'<section class="{kind}"><h2>{_text(title)}</h2>{content}</section>'


def _verdict_tag(verdict: str) -> str:
    return _tag(verdict, "good" if verdict == "verified" else "bad")


def _tag(word: str, tone: str) -> str:
    return f'<span class="tag {tone}">{_text(word)}</span>'


def _number(value: int | None) -> str:
    return "" if value is None else f"{int(value):,}"


def _digits(text: str) -> str:
    """Return a string of digits in groups of three; it may be longer than `int` likes to read."""
    digits = str(text)
    first = len(digits) % 3 or 3
    return escape(",".join([digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]))


def _text(value: object) -> str:
    return escape(str(value), quote=True)


_STYLE = """
:root { --ink: #1d2430; --soft: #5b6472; --line: #d9dee6; --faint: #f4f6f9; --good: #1e6f4c; --good-bg: #e5f3ec;
  --wait: #2c5f8d; --wait-bg: #e4eef7; --bad: #a11d33; --bad-bg: #fae6e9; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--faint); color: var(--ink); font-variant-numeric: tabular-nums;
  font: 14px/1.5 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial,
    sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 28px 28px 64px; }
h1 { font-size: 25px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0 0 8px; } p { margin: 0 0 10px; } ul { margin: 0; padding-left: 20px; }
code { font: 12px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  overflow-wrap: anywhere; }
header.top { display: flex; justify-content: space-between; align-items: flex-start; gap: 24px; margin-bottom: 18px; }
.stamp { border: 2px solid currentColor; border-radius: 6px; padding: 7px 16px; font-weight: 700; font-size: 15px;
  white-space: nowrap; }
.good { color: var(--good); background: var(--good-bg); } .bad { color: var(--bad); background: var(--bad-bg); }
.wait { color: var(--wait); background: var(--wait-bg); } .soft { color: var(--soft); }
section.card { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 18px 20px; margin: 0 0 16px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 5px 9px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
thead th { font-size: 12px; font-weight: 600; color: var(--soft); border-bottom: 1.5px solid #b9c2ce;
  white-space: nowrap; }
table.facts th { width: 210px; font-weight: 600; color: var(--soft); }
td.num, th.num { text-align: right; white-space: nowrap; }
.tag { display: inline-block; padding: 0 7px; border-radius: 9px; font-size: 11.5px; font-weight: 600;
  line-height: 18px; white-space: nowrap; }
footer { color: var(--soft); font-size: 12px; }
@media print {
  @page { size: A4; margin: 14mm 12mm; }
  body { background: #fff; font-size: 10.5px; } main { max-width: none; padding: 0; }
  section.card { border-color: #c9d0da; break-inside: avoid; }
  section.card.long { break-inside: auto; border: 0; padding: 0; }
  tr { break-inside: avoid; } thead { display: table-header-group; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
