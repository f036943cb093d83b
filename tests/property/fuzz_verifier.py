"""Exports, proofs, registries and trust files, changed with knowledge of their structure; whatever comes of it, the
verifier answers 0, 1 or 2.

    python tests/property/fuzz_verifier.py --seconds 600 [--seed N] [--cases N]

Each case is made of its number alone, so that `--seed N --cases 1` makes case N again. What is held of each: no
exception, no more than some seconds and some hundred megabytes, a report that fits its forms; and where the answer is
"verified" and nobody who had the keys signed anything anew, the records are those that were signed. The last line is
JSON: how many cases, how many answers of each kind.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz_changes import CHANGES, PROOFS, Case, company

from ledger_core.log.proof import TlogProof
from ledger_core.log.report_page import report_page
from ledger_core.log.verifier import verify_path

CASE_SECONDS = 30
MEMORY_BYTES = 700 * 1024 * 1024
"""Of address space above what the process starts with; on Linux alone, where the limit means that."""
SLOWEST: list[tuple[float, int, list[str]]] = []


def made_export(root: Path) -> Any:
    log = company.Log().fill(60)
    log.registry.append(log.add_registry())
    archive = company.Archive(root=root, log=log)
    for first, following in ((0, 20), (20, 45), (45, 60)):
        archive.export(first, following)
    PROOFS["bundle"] = log.bundle(3, 41).as_json()
    PROOFS["envelope"] = log.proof_envelope(3, 41)
    tree = log.tree()
    path = company.inclusion_path(5, tree.size, tree.node)
    PROOFS["tlog"] = str(TlogProof(index=5, path=tuple(path), checkpoint=log.note(), extra=log.lines[5])).encode()
    return archive


def run_case(number: int, archive: Any, folder: Path) -> str:
    """Make case `number` and verify it; return the verdict. Raises whatever is wrong."""
    r = random.Random(number)
    top = folder / "archive"
    shutil.copytree(archive.root, top)
    folders = [top / item.relative_to(archive.root) for item in archive.folders]
    case = Case(random=r, top=top, log=archive.log, folders=folders, target=top, trust=archive.log.trust)
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        change = r.choice(CHANGES)
        case.done.append(change.__name__)
        change(case)
    begun = time.monotonic()
    report = verify_path(case.target, case.trust, known_checkpoint=case.known, since=case.since)
    SLOWEST.append((time.monotonic() - begun, number, case.done))
    document = report.as_json()
    json.dumps(document).encode()
    report_page(document).encode("utf-8")
    assert all(line.isprintable() for line in report.as_lines()), "a line that acts"
    assert report.exit_status in (0, 1, 2)
    if report.exit_status == 0 and case.is_sound and case.target == top:
        for item, signed_lines in zip(folders, ((0, 20), (20, 45), (45, 60)), strict=True):
            if (item / "records.jsonl.gz").is_file():
                found = gzip.decompress((item / "records.jsonl.gz").read_bytes()).split(b"\n")[:-1]
                assert found == archive.log.lines[slice(*signed_lines)], (
                    f"verified, and not what was signed: {case.done}"
                )
    return report.verdict


def on_alarm(_number: int, _frame: Any) -> None:
    raise TimeoutError(f"a case took more than {CASE_SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    if sys.platform == "linux":
        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
    verdicts: Counter[str] = Counter()
    number, until = options.seed, time.monotonic() + options.seconds
    # Of a case a third is making and removing its folders, where they lie on a disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="counterfoil-fuzz-", dir=memory) as place:
        archive = made_export(Path(place) / "sound")
        while time.monotonic() < until if options.cases is None else number < options.seed + options.cases:
            folder = Path(place) / "case"
            folder.mkdir()
            signal.alarm(CASE_SECONDS)
            try:
                verdicts[run_case(number, archive, folder)] += 1
            except BaseException:  # noqa: BLE001 - whatever it is, it is the finding
                print(f"case {number}:", file=sys.stderr)
                traceback.print_exc()
                return 1
            finally:
                signal.alarm(0)
                for item in folder.rglob("*"):
                    if item.is_file() and not item.is_symlink():
                        item.chmod(0o600)
                shutil.rmtree(folder)
            number += 1
    print(
        json.dumps({"cases": number - options.seed, "verdicts": dict(verdicts.most_common()), "slowest": max(SLOWEST)})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
