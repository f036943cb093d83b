"""The auditors' command: `python counterfoil-verify.pyz PATH --trust trust.json`.

Exit status 0 verified, 1 failed, 2 cannot tell.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ledger_core.log.verifier import verify_path


def main(arguments: list[str] | None = None) -> int:
    """Verify what the arguments name, print the report, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="counterfoil-verify", description="Verify a Counterfoil export or proof, offline."
    )
    parser.add_argument("path", type=Path, help="a segment's folder, a tree of them, a proof bundle or a tlog-proof")
    parser.add_argument("--trust", type=Path, default=Path("trust.json"), help="the pinned trust file")
    parser.add_argument("--known-checkpoint", type=Path, help="a checkpoint you kept from an earlier visit")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    try:
        known = options.known_checkpoint.read_text("utf-8") if options.known_checkpoint else None
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{options.known_checkpoint}: cannot be read: {error}\n")
        return 2
    quiet = options.json or not sys.stderr.isatty()
    report = verify_path(
        options.path, options.trust, progress=None if quiet else _show_progress, known_checkpoint=known
    )
    if not quiet:
        sys.stderr.write("\r\x1b[K")
    print(json.dumps(report.as_json(), indent=2) if options.json else "\n".join(report.as_lines()))
    return report.exit_status


def _show_progress(records: int) -> None:
    sys.stderr.write(f"\r{records:,} records")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
