"""Write a verification report where it was asked for: JSON, HTML, text or signed, as the name of the file says.

A name that says none of these is refused before the work begins. A report replaces the file whole or not at all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ledger_core.errors import ConfigurationError, CounterfoilError, InvalidInput
from ledger_core.log.dsse import Envelope
from ledger_core.log.findings import VerificationReport
from ledger_core.log.report_page import report_page
from ledger_core.log.shown import shown

SIGNED = ".dsse.json"
"""How the file of a signed report is called: a DSSE envelope."""
SUFFIXES = (".json", ".html", ".txt")


def is_signed(path: Path) -> bool:
    """Say whether the report at `path` is to be a signed one."""
    return path.name.lower().endswith(SIGNED)


def check_report_names(paths: Sequence[Path], *, signs: bool = False) -> None:
    """Refuse, before anything is verified, a report that could not be written. Raises `InvalidInput`.

    `signs` says whether somebody is there to sign.
    """
    if signs != any(map(is_signed, paths)):
        raise InvalidInput(
            f"a signed report needs a file called *{SIGNED}." if signs else f"nobody is named to sign *{SIGNED}.",
            remedy=f"Give --report FILE{SIGNED} and who signs it together.",
        )
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise InvalidInput(
                f"{shown(str(path))}: a report is called {', '.join(SUFFIXES)}.", remedy="Name it by what it is."
            )
        if path.is_dir() or not path.parent.is_dir():
            raise InvalidInput(
                f"{shown(str(path))}: no file can be written there.", remedy="Name a file in a folder that exists."
            )


def report_text(report: VerificationReport, suffix: str) -> str:
    """Return the report in the form that `suffix` names."""
    if suffix == ".json":
        return json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    if suffix == ".html":
        return report_page(report.as_json())
    return "".join(line + "\n" for line in report.as_lines())


def write_reports(
    report: VerificationReport, paths: Sequence[Path], seal: Callable[[VerificationReport], Envelope] | None
) -> CounterfoilError | None:
    """Write the report to each of `paths`, those that `seal` signs last; return what kept one from being written.

    What was found is on disk before anybody is asked to sign it, and stays there when they refuse.
    """
    refusal: CounterfoilError | None = None
    envelope: Envelope | None = None
    for path in sorted(paths, key=is_signed):
        try:
            if is_signed(path) and envelope is None:
                assert seal is not None, "check_report_names asks for it"
                envelope = seal(report)
            write_report(report, path, envelope=envelope)
        except CounterfoilError as error:
            refusal = refusal or error
    return refusal


def write_report(report: VerificationReport, path: Path, *, envelope: Envelope | None = None) -> None:
    """Write the report to `path`, in `envelope` where it is a signed one.

    Raises `ConfigurationError` where that cannot be.
    """
    if is_signed(path):
        assert envelope is not None, "check_report_names asks for it"
        data = envelope.to_bytes() + b"\n"
    else:
        data = report_text(report, path.suffix.lower()).encode()
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        raise ConfigurationError(
            f"the report could not be written: {error.strerror}.", file=str(path), remedy="Name another file."
        ) from error
