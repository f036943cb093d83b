"""Cursors, versions, checkpoints and ids given back cut, changed, in another book or by look-alikes: over raw sockets.

Each answer is typed and below 500, and none holds a word of the other book.
"""

from __future__ import annotations

import uuid
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"
BOOKS = ("main", "other")
ACCOUNTS, VERIFY = "/finance/accounts", "/finance/verify"
SALES = "revenue:sales:usd"


def other_than(character: str) -> str:
    return "A" if character != "A" else "B"


# Pages.

LISTS = {
    "entries": (ENTRIES, "entries"),
    "entries of an account": (f"{ENTRIES}?account={SALES}", "entries"),
    "accounts": (ACCOUNTS, "accounts"),
    "statement": (f"{ACCOUNTS}/{SALES}/statement", "lines"),
}


def page(wire, path, book, cursor=None, *more):
    query = [f"book={book}", "limit=1", *more] + ([] if cursor is None else [f"cursor={cursor}"])
    return wire.ask("GET", f"{path}{'&' if '?' in path else '?'}{'&'.join(query)}")


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_leads_on_in_its_own_list_of_its_own_book_alone(wire, name):
    path, _ = LISTS[name]
    cursors = {book: page(wire, path, book).json["next_cursor"] for book in BOOKS}
    again = [page(wire, path, "main", cursors["main"]) for _ in range(2)]
    assert again[0].status == 200
    assert again[0].content == again[1].content, "a replay is the same page"
    for book, foreign in (("main", cursors["other"]), ("other", cursors["main"])):
        wire.refused(page(wire, path, book, foreign), 422)
        for elsewhere, _ in LISTS.values():
            if elsewhere != path:
                wire.refused(page(wire, elsewhere, book, cursors[book]), 422)
        wire.refused(page(wire, path, book, cursors[book], f"book={book}"), 422)
        wire.refused(page(wire, path, book, cursors[book], f"cursor={cursors[book]}"), 422)
    if name != "accounts":
        wire.refused(page(wire, path, "main", cursors["main"], "effective_from=2020-01-01T00:00:00Z"), 422)


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_that_was_cut_or_changed_is_refused_or_leads_into_its_own_book(wire, name):
    path, listed = LISTS[name]
    cursor = page(wire, path, "main").json["next_cursor"]
    for length in range(1, len(cursor)):
        wire.refused(page(wire, path, "main", cursor[:length]), 422)
    for text in (
        cursor + "=",
        cursor + "==",
        cursor + "%20",
        "%20" + cursor,
        cursor + "%0A",
        "+" + cursor,
        cursor + "A",
        cursor * 2,
        cursor.swapcase(),
        cursor.lower(),
        quote(f"“{cursor}”"),
        quote("".join(chr(ord(each) + 0xFEE0) for each in cursor)),
        cursor + "%00",
        "A" * 1_025,
        "A" * 30_000,
        "",
        "null",
        "0",
        "-1",
    ):
        wire.refused(page(wire, path, "main", text), 422)
    for place in range(len(cursor)):
        changed = f"{cursor[:place]}{other_than(cursor[place])}{cursor[place + 1 :]}"
        answer = page(wire, path, "main", changed)
        if answer.status == 200:  # another place in the same list: a cursor is no secret
            assert b"word-of-other" not in answer.content
            assert len(answer.json[listed]) <= 1
        else:
            wire.refused(answer, 422)


# Versions.


def test_a_change_under_an_etag_that_is_not_the_accounts_is_refused(wire):
    path = f"{ACCOUNTS}/{SALES}"
    tags = {book: wire.ask("GET", f"{path}?book={book}").headers["etag"] for book in BOOKS}
    entry_tag = wire.ask("GET", f"{ENTRIES}/{wire.entry_ids['main']}").headers["etag"]
    tag, number = tags["main"], tags["main"].strip('"')
    assert tags["other"] != tag, "each is of its own book"
    wrong: list[str | bytes] = [
        tags["other"],
        entry_tag,
        f"W/{tag}",
        f"w/{tag}",
        number,
        f'"{number}',
        f'{number}"',
        f"'{number}'",
        f'"0{number}"',
        f'"+{number}"',
        f'" {number}"',
        f'"{number} "',
        f'""{number}""',
        f'"a{tag}"',
        f"a{tag}",
        f"{tag}a",
        f"{tag}{tag}",
        f"{tag} {tag}",
        f'"x" {tag}',
        f'"x"{tag}',
        f"*, {tag}",
        f"* {tag}",
        "**",
        '"*"',
        "",
        '""',
        f'"{number}0"',
        '"' + "9" * 400 + '"',
        f"{tag};",
        f'"{number}.0"',
        f'"{int(number):x}x"',
        "".join(chr(ord(each) + 0xFEE0) for each in number),
        f"\u201c{number}\u201d",
        f'"{"".join(chr(0x660 + int(each)) for each in number)}"',
        b"\xa0" + tag.encode(),
        tag.encode() + b"\xa0",
    ]
    for each in wrong:
        line = b"if-match: " + (each if isinstance(each, bytes) else each.encode())
        answer = wire.ask("PATCH", path, line, body={"metadata": {"changed": "yes"}})
        assert answer.status == 412, (each, answer.status, answer.content[:200])
        assert wire.refused(answer, 412).json["code"] == "precondition_failed"
    wire.refused(
        wire.ask("PATCH", path, f"if-match: {tag}", f"If-Match: {tag}", body={"metadata": {"changed": "yes"}}), 400
    )
    assert wire.ask("GET", path).headers["etag"] == tag
    for right in (f"  {tag} ", f'"x", {tag}', f'{tag},"7" ,W/"x"', "*"):
        changed = wire.ask("PATCH", path, f"if-match: {right}", body={"metadata": {"changed": uuid.uuid4().hex}})
        assert changed.status == 200, (right, changed.content)
        assert changed.headers["etag"] != tag
        tag = changed.headers["etag"]
        if right != "*":
            break
    assert wire.ask("GET", f"{path}?book=other").headers["etag"] == tags["other"]


# Checkpoints, proofs, ids.


def changed_notes(note: str) -> dict[str, str]:
    body, _, signatures = note.partition("\n\n")
    origin, size, root = body.split("\n")
    line = signatures.splitlines()[0]
    mark, name, mac = line.split(" ")

    def made(*, origin: str = origin, size: str = size, root: str = root, tail: str = signatures) -> str:
        return f"{origin}\n{size}\n{root}\n\n{tail}"

    return {
        "another origin": made(origin=origin + "x"),
        "in upper case": made(origin=origin.upper()),
        "a look-alike": made(origin=origin.replace("a", "\u0430")),
        "a larger size": made(size=str(int(size) + 1)),
        "a size with a zero": made(size="0" + size),
        "a size with a sign": made(size="+" + size),
        "size 0": made(size="0"),
        "size 2^63": made(size=str(2**63)),
        "a size without end": made(size="9" * 5_000),
        "other digits": made(size="\u0661"),
        "another root": made(root=other_than(root[0]) + root[1:]),
        "a root without padding": made(root=root.rstrip("=")),
        "a root with unused bits": made(root=root[:-2] + other_than(root[-2]) + "="),
        "a blank behind the root": made(root=root + " "),
        "a line more": f"{body}\nmore\n\n{signatures}",
        "no signature": f"{body}\n\n",
        "no blank line": f"{body}\n{signatures}",
        "nothing": "",
        "another signature": made(tail=f"{mark} {name} {mac[:20]}{other_than(mac[20])}{mac[21:]}\n"),
        "a hyphen": made(tail=signatures.replace("\u2014", "-")),
        "another name": made(tail=f"{mark} {name}x {mac}\n"),
        "cut signature": made(tail=f"{mark} {name} {mac[:-4]}\n"),
        "windows' ends": note.replace("\n", "\r\n"),
        "no last end": note.rstrip("\n"),
        "blanks around": f" {note} ",
        "a known key's bad line": note + f"{mark} {name} {mac[:20]}{other_than(mac[20])}{mac[21:]}\n",
        "twice": note + note,
        "a zero byte": note[:5] + "\0" + note[5:],
        "a surrogate": note + "\ud800",
        "65 kB": note + "x" * 65_536,
    }


def test_a_checkpoint_that_was_changed_or_is_another_books_proves_nothing_and_raises_no_alarm(wire):
    notes = {book: wire.ask("GET", f"/finance/checkpoints/latest?book={book}").json["checkpoint"] for book in BOOKS}
    size = wire.ask("GET", ENTRIES).json["state"]["as_of_seq"]
    asked = {"selector": {"entry_ids": [wire.entry_ids["main"]]}}
    good = wire.ask("POST", VERIFY, body={**asked, "known_checkpoint": notes["main"]})
    assert (good.status, good.json["verdict"]) == (200, "verified")
    for name, note in {"another book's": notes["other"], **changed_notes(notes["main"])}.items():
        answer = wire.ask("POST", VERIFY, body={**asked, "known_checkpoint": note})
        assert answer.status in (400, 413, 422), (name, answer.status, answer.content[:300])
        wire.refused(answer, 400, 413, 422, word_of="other")
    assert wire.ask("GET", ENTRIES).json["state"]["as_of_seq"] == size, "no alarm is recorded for what a caller made up"


def test_an_id_is_one_of_its_own_book(wire):
    for book, elsewhere in (BOOKS, BOOKS[::-1]):
        for name in (wire.entry_ids[book], wire.external_ids[book]):
            for path in (f"{ENTRIES}/{name}", f"{ENTRIES}/{name}/proof"):
                assert wire.ask("GET", f"{path}?book={book}").status == 200
                wire.refused(wire.ask("GET", f"{path}?book={elsewhere}"), 404)
            wire.refused(
                wire.ask("POST", f"{ENTRIES}/{name}/reversal?book={elsewhere}", "idempotency-key: r", body={}), 404
            )
            found = wire.ask("POST", VERIFY, body={"book": elsewhere, "selector": {"entry_ids": [name]}})
            assert wire.refused(found, 404).json["code"] == "not_found"
        page_of = wire.ask("GET", f"{ENTRIES}?book={elsewhere}&external_id={wire.external_ids[book]}")
        assert page_of.json["entries"] == []


def test_an_id_that_was_changed_is_nobodys(wire):
    given = wire.entry_ids["main"]
    external = wire.external_ids["main"]
    attacks = [
        given[:-1],
        given + "0",
        given.replace("-", ""),
        "{" + given + "}",
        "urn:uuid:" + given,
        given + " ",
        " " + given,
        given + "\0",
        given + "\n",
        given.replace("-", "\u2010"),
        "".join(chr(ord(each) + 0xFEE0) for each in given),
        external.upper(),
        external + "\u200b",
        external.replace("o", "\u043e"),
        external + " ",
        "a" * 5_000,
    ]
    for name in attacks:
        for path in (f"{ENTRIES}/{quote(name, safe='')}", f"{ENTRIES}/{quote(name, safe='')}/proof"):
            wire.refused(wire.ask("GET", path), 404, 414, 422)
        wire.refused(wire.ask("POST", VERIFY, body={"selector": {"entry_ids": [name]}}), 400, 404, 422)


@pytest.mark.parametrize(
    "book",
    [
        "Main",
        "MAIN",
        "main ",
        " main",
        "main\0",
        "m\u0430in",
        "main%00",
        "main/",
        "../main",
        "main\n",
        "ｍain",
        "m" * 64,
    ],
)
def test_a_book_by_another_spelling_is_no_book(wire, book):
    named = quote(book, safe="")
    for path in (
        ENTRIES,
        ACCOUNTS,
        f"{ENTRIES}/{wire.entry_ids['main']}",
        "/finance/checkpoints/latest",
        "/finance/trial-balance",
    ):
        wire.refused(wire.ask("GET", f"{path}?book={named}"), 404, 422, word_of="main")
    for path in (f"/finance/log/{named}/checkpoint", f"/finance/log/{named}/tile/entries/000.p/2"):
        wire.refused(wire.ask("GET", path), 404, 422, word_of="main")
    sent = {**wire.draft("main", f"book:{uuid.uuid4().hex}"), "book": book}
    # A text with U+0000 is no JSON of ours at all.
    wire.refused(wire.ask("POST", ENTRIES, f"idempotency-key: {uuid.uuid4().hex}", body=sent), 400, 404, 422)


def test_a_proof_from_one_size_to_another_is_of_the_book_that_is_asked(wire):
    sizes = {book: wire.ask("GET", f"/finance/checkpoints/latest?book={book}").json["size"] for book in BOOKS}
    longer = max(sizes, key=lambda book: sizes[book])
    shorter = min(sizes, key=lambda book: sizes[book])
    assert sizes[longer] > sizes[shorter]
    path = f"/finance/checkpoints/1/consistency/{sizes[longer]}"
    assert wire.ask("GET", f"{path}?book={longer}").status == 200
    wire.refused(wire.ask("GET", f"{path}?book={shorter}"), 404)
    for odd in ("01", "+1", "1.0", "1e0", "%D9%A1", "1%20", "0x1", "-1", "9" * 400, "1_0"):
        answer = wire.ask("GET", f"/finance/checkpoints/{odd}/consistency/2")
        assert answer.status in (200, 404, 422), (odd, answer.status)
        assert b"word-of-" not in answer.content
