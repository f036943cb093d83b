"""The proxy's log of calls, verified and counted: `python -m ledger_core.signing.calls --state DIR`.

It follows the chain from the first line to the one that `calls.head` names, and counts calls, signatures, and of each
log the checkpoints signed. With `--ledger FILE` (lines `<origin> <size>`) it holds those against the
checkpoints that the ledger has: what was signed and is not there is a surplus, and somebody may have it. Read only; the
proxy may run meanwhile. Exit status 0 sound, 1 not, 2 could not look.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.base.files import unusable
from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.signing.call_log import LOG_FILE, MAX_LINE_BYTES, NO_PREV, Head, files_of, read_head

MAX_FINDINGS = 20
MAX_SURPLUS = 1_000
_LEDGER_LINE = re.compile(r"(\S{1,400}) ([0-9]{1,19})\Z")


@dataclass(slots=True, kw_only=True)
class CallReport:
    """What the log says, and where it does not hold together."""

    lines: int = 0
    head: str = NO_PREV
    first_line: int = 0
    findings: list[str] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    signatures: int = 0
    checkpoints: dict[str, list[int]] = field(default_factory=dict)
    """By log: how many sizes were signed, and the largest."""
    surplus: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Say whether the chain holds and the ledger has all that was signed."""
        return not self.findings and not self.surplus

    def finds(self, what: str) -> None:
        """Keep one finding, of the first ones."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(what)

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "sound": self.sound,
            "lines": self.lines,
            "first_line": self.first_line,
            "hash": self.head,
            "findings": self.findings,
            "calls": [
                {"call": call, "outcome": outcome, "count": count}
                for (call, outcome), count in sorted(self.calls.items())
            ],
            "signatures": self.signatures,
            "checkpoints": {
                origin: {"signed": count, "largest": largest}
                for origin, (count, largest) in sorted(self.checkpoints.items())
            },
            "surplus": self.surplus,
        }

    def as_text(self) -> str:
        """Return the report for people."""
        said = [f"{self.lines:,} lines from {self.first_line:,}, hash {self.head}"]
        said += [f"  {call:<12} {outcome:<24} {count:>12,}" for (call, outcome), count in sorted(self.calls.items())]
        said.append(f"{self.signatures:,} signatures")
        said += [
            f"  {origin}: {count:,} checkpoints, the largest of {largest:,} records"
            for origin, (count, largest) in sorted(self.checkpoints.items())
        ]
        said += [f"NOT SOUND: {finding}" for finding in self.findings]
        said += [f"SURPLUS: {each}" for each in self.surplus]
        return "\n".join(said)


def verify_calls(folder: Path, *, first_line: int = 0, ledger: Path | None = None) -> CallReport:
    """Return the report on the log in `folder`, of which the lines before `first_line` may have been put elsewhere.

    Raises `ConfigurationError` where there is no log.
    """
    files = files_of(folder)
    said = read_head(folder)
    if not files and said is None:
        raise ConfigurationError("there is no log of calls.", file=str(folder / LOG_FILE), remedy="Name its folder.")
    report = CallReport(first_line=first_line)
    stored = None if ledger is None else _Stored(ledger)
    _follow(files, report, stored)
    if said is None:
        report.finds("calls.head is gone: a cut end would not be seen")
    elif said.lines > report.lines or (said.lines == report.lines and said.hash != report.head):
        report.finds(f"the end was cut: calls.head names line {said.lines - 1}, the last here is {report.lines - 1}")
    return report


def _follow(files: list[Path], report: CallReport, stored: _Stored | None) -> None:
    head: Head | None = Head() if report.first_line == 0 else None
    for place, line in _lines(files):
        report.head = sha256(line).hexdigest()
        try:
            value = json.loads(line)
            number, prev = int(value["n"]), str(value["prev"])
            call, outcome = str(value["call"]), str(value["outcome"])
        except (ValueError, KeyError, TypeError, RecursionError):
            report.finds(f"{place}: no line of this log")
            head, report.lines = None, report.lines + 1
            continue
        if head is None:
            # The first that is here, or the first after a damaged one: `prev` speaks of what cannot be seen.
            if report.lines == 0 and number != report.first_line:
                report.finds(f"{place}: begins at line {number}, not {report.first_line}")
        elif number != head.lines or prev != head.hash:
            report.finds(f"{place}: line {number} does not follow line {head.lines - 1}: one was changed, cut or moved")
        head = Head(lines=number + 1, hash=report.head)
        report.lines = number + 1
        _count(value, call, outcome, report, stored, place)


def _count(
    value: dict[str, Any], call: str, outcome: str, report: CallReport, stored: _Stored | None, place: str
) -> None:
    report.calls[(call, outcome)] += int(value.get("count", 1))
    report.signatures += int(value.get("signatures", 0))
    if call == "start" and ("missing_lines" in value or "cut_bytes" in value):
        lost = value.get("missing_lines", "part of the last")
        report.finds(f"{place}: {lost} lines were gone when the proxy started: a loss of power, or somebody cut them")
    if call != "checkpoint" or outcome != "ok" or "size" not in value:
        return
    origin, size = str(value["origin"]), int(value["size"])
    counted = report.checkpoints.setdefault(origin, [0, -1])
    if size > counted[1]:
        counted[0] += 1
        counted[1] = size
        if stored is not None and not stored.has(origin, size) and len(report.surplus) < MAX_SURPLUS:
            report.surplus.append(f"{origin} at size {size}, signed at {value['at']} for {value['client']}")


def _lines(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                if line.endswith(b"\n") or path.name != LOG_FILE:
                    yield f"{path.name}:{number}", line


class _Stored:
    """The checkpoints that the ledger has."""

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8").splitlines() if str(path) != "-" else sys.stdin.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the ledger's checkpoints cannot be read: {error}.", file=str(path)) from error
        self._sizes: dict[str, set[int]] = {}
        for number, line in enumerate(text, start=1):
            found = _LEDGER_LINE.match(line.strip().replace("|", " "))
            if found is None:
                raise ConfigurationError(
                    "a line reads `<origin> <size>`.", file=str(path), line=number, remedy="See the runbook's query."
                )
            self._sizes.setdefault(found[1], set()).add(int(found[2]))

    def has(self, origin: str, size: int) -> bool:
        """Say whether the ledger has the checkpoint of `origin` at `size`."""
        return size in self._sizes.get(origin, ())


def main(arguments: list[str] | None = None) -> int:
    """Print the report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.signing.calls", description=__doc__.split("\n")[0])
    parser.add_argument("--state", type=Path, required=True, help="the proxy's folder")
    parser.add_argument("--first-line", type=int, default=0, help="where the log begins, older files being elsewhere")
    parser.add_argument("--ledger", type=Path, help="the ledger's checkpoints, `<origin> <size>` a line; - is stdin")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(arguments)
    try:
        report = verify_calls(options.state, first_line=options.first_line, ledger=options.ledger)
    except (CounterfoilError, OSError) as error:
        told = error if isinstance(error, CounterfoilError) else unusable(error)
        sys.stderr.write(f"{told}\n")
        return 2
    sys.stdout.write((json.dumps(report.as_json(), indent=2) if options.json else report.as_text()) + "\n")
    return 0 if report.sound else 1


if __name__ == "__main__":
    sys.exit(main())
