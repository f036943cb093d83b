"""Statements of banks for bench/ingest.py: a day of an account with as many entries as asked for, by seed."""

from __future__ import annotations

import random
from pathlib import Path

ENTRIES = 5_000
"""Of one statement; a file is as many statements as it takes."""


def write_mt940(path: Path, *, rows: int, seed: int) -> Path:
    """Write MT940 as a German bank does: subfields over lines of 65, references, a name."""
    dice = random.Random(seed)
    balance = 0
    with path.open("w", newline="") as sink:
        for start in range(0, rows, ENTRIES):
            number = start // ENTRIES + 1
            sink.write(f":20:STARTUMS\r\n:25:10050000/{seed:010d}\r\n:28C:{number:05d}/00001\r\n")
            sink.write(f":60F:C251001EUR{_with_comma(balance)}\r\n")
            for entry in range(start, min(start + ENTRIES, rows)):
                cents = dice.randrange(100, 90_000)
                balance += cents
                sink.write(f":61:2510021002CR{_with_comma(cents)}NTRFNONREF//{entry:016d}\r\n")
                said = (
                    f"166?00SEPA-GUTSCHRIFT?100399?20EREF+E2E{entry:020d}?21KREF+{entry:022d}"
                    f"?22SVWZ+STRIPE payout {entry:08d}?23 of the day, invoice {entry % 997:05d}?24 and thanks"
                    f"?30PBNKDEFF100?31DE{entry:020d}?32Buyer {entry % 9973} of Berlin Mitte?33 GmbH?34000"
                )
                lines = [said[place : place + 65] for place in range(0, len(said), 65)]
                sink.write(":86:" + "\r\n".join(lines) + "\r\n")
            sink.write(f":62F:C251002EUR{_with_comma(balance)}\r\n-\r\n")
    return path


def write_bai2(path: Path, *, rows: int, seed: int) -> Path:
    """Write BAI2 as a US bank does: a detail with its ACH text over two records, totals on every level."""
    dice = random.Random(seed)
    balance, groups_total, records = 0, 0, 2
    with path.open("w") as sink:
        sink.write(f"01,121000248,BENCH,251002,0600,{seed},80,,2/\n02,BENCH,121000248,1,251001,2400,USD,2/\n")
        for start in range(0, rows, ENTRIES):
            amounts = [dice.randrange(100, 90_000) for _ in range(min(ENTRIES, rows - start))]
            closing = balance + sum(amounts)
            sink.write(f"03,{seed:06d}{start:09d},USD,010,{balance},,,015,{closing},,/\n")
            for place, cents in enumerate(amounts, start=start):
                sink.write(f"16,165,{cents},0,B{place:015d},C{place:010d},ORIG CO NAME:STRIPE ORIG ID:1800948598\n")
                sink.write(f"88,TRACE#:{place:015d} IND ID:ST-{place:010d} IND NAME:BENCH/\n")
            total = balance + closing + sum(amounts)
            sink.write(f"49,{total},{2 * len(amounts) + 2}/\n")
            groups_total += total
            records += 2 * len(amounts) + 2
            balance = closing
        accounts = (rows + ENTRIES - 1) // ENTRIES
        sink.write(f"98,{groups_total},{accounts},{records}/\n99,{groups_total},1,{records + 2}/\n")
    return path


def _with_comma(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"
