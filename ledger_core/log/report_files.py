"""Write a verification report where it was asked for: JSON, HTML or text, as the name of the file says.

A name that says none of these is refused before the work begins. A report replaces the file whole or not at all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.log.findings import VerificationReport
from ledger_core.log.report_page import report_page
from ledger_core.log.shown import shown

SUFFIXES = (".json", ".html", ".txt")


def check_report_names(paths: Sequence[Path]) -> None:
    """Refuse, before anything is verified, a report that could not be written. Raises `InvalidInput`."""
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


def write_report(report: VerificationReport, path: Path) -> None:
    """Write the report to `path`. Raises `ConfigurationError` where that cannot be."""
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
