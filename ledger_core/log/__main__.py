"""The auditors' command: `python counterfoil-verify.pyz PATH --trust trust.json`.

PATH may be `s3://bucket/prefix` where boto3 is installed beside it; endpoint, region and credentials are boto3's own
settings (AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_PROFILE). Exit status 0 verified, 1 failed, 2 cannot tell.
`--sign-with KEY --report FILE.dsse.json` signs what was found, `--signed-by PUB` reads such a file back.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.log.attest import attest, read_auditor_key, read_auditor_public
from ledger_core.log.note import MAX_NOTE_BYTES
from ledger_core.log.object_tree import place_of
from ledger_core.log.reading import read_bounded, why_unread
from ledger_core.log.report_files import check_report_names, write_reports
from ledger_core.log.shown import shown
from ledger_core.log.verifier import verify_path


def main(arguments: list[str] | None = None) -> int:
    """Verify what the arguments name, print the report, return the exit status."""
    options = _parser().parse_args(arguments)
    known = []
    for path in options.known_checkpoint:
        data = read_bounded(path, MAX_NOTE_BYTES)
        if data is None:
            sys.stderr.write(f"{shown(str(path))}: {why_unread(path, MAX_NOTE_BYTES)}\n")
            return 2
        known.append(data)
    try:
        check_report_names(options.report, signs=options.sign_with is not None)
        key = None if options.sign_with is None else read_auditor_key(options.sign_with)
        signed_by = None if options.signed_by is None else read_auditor_public(options.signed_by)
        place = place_of(options.path)
    except (ConfigurationError, InvalidInput) as error:
        sys.stderr.write(f"{shown(str(error))}\n")
        return 2
    quiet = options.json or not sys.stderr.isatty()
    report = verify_path(
        place,
        options.trust,
        progress=None if quiet else _show_progress,
        known_checkpoint=known,
        since=options.since,
        processes=options.processes,
        signed_by=signed_by,
    )
    if not quiet:
        sys.stderr.write("\r\x1b[K")
    _print(json.dumps(report.as_json(), indent=2) if options.json else "\n".join(report.as_lines()))
    refusal = write_reports(report, options.report, None if key is None else partial(attest, key=key))
    if refusal is not None:
        sys.stderr.write(f"{shown(str(refusal))}\n")
        return report.exit_status or 2
    return report.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="counterfoil-verify", description="Verify a Counterfoil export or proof, offline."
    )
    parser.add_argument(
        "path",
        help="a segment's folder, a tree of them, a proof bundle, a tlog-proof, a signed report, or s3://bucket/prefix",
    )
    # No default: a trust file that lies where the verifier is started may have come with what is verified.
    parser.add_argument("--trust", type=Path, help="the pinned trust file, received apart from what is verified")
    parser.add_argument(
        "--known-checkpoint",
        type=Path,
        action="append",
        default=[],
        help="a checkpoint you kept from an earlier visit; one of each log",
    )
    parser.add_argument("--since", type=int, metavar="SIZE", help="the segments may begin at this seq instead of 0")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the report to FILE.json, .html, .txt, or signed to .dsse.json; may be given again",
    )
    parser.add_argument(
        "--sign-with", type=Path, metavar="KEY", help="sign FILE.dsse.json with your own key: PEM, P-256 or Ed25519"
    )
    parser.add_argument(
        "--signed-by", type=Path, metavar="PUB", help="the path is a report that the holder of this public key signed"
    )
    parser.add_argument(
        "--processes",
        type=int,
        choices=(1, 2),
        default=2,
        help="2, the default: a second process unfolds large files where there is a core for it",
    )
    return parser


def _print(text: str) -> None:
    """Print `text`, in whatever letters the terminal has."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _show_progress(records: int) -> None:
    sys.stderr.write(f"\r{records:,} records")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
