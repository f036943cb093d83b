"""Keys on the proxy's own host: `python -m ledger_core.ceremony.host first|begin|next|install`, no home, no database.

    first    the draft of registry version 1, for the key that the settings name and roots that are kept elsewhere
    begin    take what the roots signed of it: registry, an empty memory, and the trust file for everybody
    next     describe the key that is to sign after a change (`counterfoil keys ... --next FILE --draft FILE`)
    install  take the next version of the registry once the roots have signed it; the proxy stands still meanwhile

Reads the proxy's settings and its folder; what the ledger's host shows or is told goes in files (`carried.py`). No
network but to where the key is kept. Each command can be killed and given again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from ledger_core.base.files import unusable, write_once
from ledger_core.ceremony.carried import Carried, NextKey, change_bytes, next_key_bytes, read_proofs
from ledger_core.ceremony.first import begin, first_draft
from ledger_core.ceremony.install import follow, install
from ledger_core.ceremony.offline import lines_of, merge, refuse_private
from ledger_core.ceremony.seat import Held, remembered
from ledger_core.errors import ConfigurationError, CounterfoilError, Refused
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.registry import parse_registry
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.change import Change, forget_change, read_change, set_aside
from ledger_core.signing.documents import Successor
from ledger_core.signing.folder import KEYS_FILE, hold_folder
from ledger_core.signing.takeover import describe_successor, read_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeat(Held):
    """The folder in the hand of this command."""

    shown: Carried

    def now(self) -> datetime:
        """Return the time that statements of this change bear."""
        return datetime.now(UTC)


def next_key(folder: Path, trust_path: Path, out: Path, *, fresh: bool = False) -> Successor:
    """Write to `out`, and return, what the registry will say of the key that the settings name.

    Raises `ConfigurationError` for one that is in the registry already.
    """
    refuse_private(out)
    _require_registry(folder)
    registry, last = read_registry(folder), remembered(folder)
    ring = resolve_keys(TrustFile.load(trust_path), registry)
    key = describe_successor(folder, load_signer_settings(), ring, fresh=fresh)
    write_once(out, next_key_bytes(NextKey(successor=key, registry=tuple(registry), last=last)), mode=0o644)
    return key


def install_signed(
    folder: Path, trust_path: Path, files: Sequence[Path], out: Path, *, proofs: Path | None = None
) -> Change:
    """Install the version that `files` make together, and write to `out` what the ledger's host is to be told.

    Raises `IntegrityError` where a threshold of the roots is not there, `Refused` for a draft that was outgrown.
    """
    refuse_private(out)
    envelope, carried = merge(files), Carried() if proofs is None else read_proofs(proofs)
    _require_registry(folder)
    with _seated(folder, trust_path, carried) as seat:
        begun = _begun(seat)
        if begun is not None and begun.sha256 == sha256(envelope.payload).hexdigest():
            change = begun
        else:
            if begun is not None:
                set_aside(folder, begun)
            document = parse_registry(envelope.payload)
            if document.version != seat.ring.version + 1:
                raise Refused(
                    f"the registry stands at version {seat.ring.version}, this is version {document.version}.",
                    remedy="Versions follow each other without a gap. Draft again, from the registry as it is.",
                )
            change = install(seat, envelope)
        write_once(out, change_bytes(change), mode=0o644)
    return change


def _begun(seat: HostSeat) -> Change | None:
    """Return the change that was made last, followed to its end; forget one that was begun and not made."""
    change = read_change(seat.folder)
    if change is None:
        return None
    if (change.version, change.sha256) not in seat.ring.documents:
        forget_change(seat.folder)
        return None
    follow(seat, seat.ring)
    return change


@contextmanager
def _seated(folder: Path, trust_path: Path, shown: Carried) -> Iterator[HostSeat]:
    with hold_folder(folder), HostSeat.read(folder, trust_path, shown=shown) as seat:
        yield seat


def _require_registry(folder: Path) -> None:
    if not (folder / KEYS_FILE).exists():
        raise ConfigurationError(
            "there is no key registry here.",
            file=str(folder),
            remedy="Name the proxy's folder with --state; a first registry is made by `first` and `begin`.",
        )


def _require_own(folder: Path) -> None:
    """Raise `ConfigurationError` for a folder of another user: what this one writes there the proxy could not read."""
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            "the folder is another user's.",
            file=str(folder),
            remedy="Nothing was written. Give the command as the user that the proxy runs as: `sudo -u USER "
            "--preserve-env=...`, with the settings of the proxy.",
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        for line in _run(options):
            sys.stdout.write(f"{line}\n")
    except (CounterfoilError, OSError) as error:
        told = error if isinstance(error, CounterfoilError) else unusable(error)
        sys.stderr.write(f"{told}\n")
        return 2
    return 0


def _run(options: argparse.Namespace) -> Iterator[str]:
    folder = options.state.absolute()
    _require_own(folder)
    if options.command == "first":
        draft = first_draft(
            folder, options.root, threshold=options.threshold, origin_prefix=options.origin_prefix, out=options.out
        )
        yield f"draft with sha256 {sha256(draft).hexdigest()}"
        yield from lines_of(parse_registry(draft))
        yield f"{options.out}: have {options.threshold} of the roots or more sign it, then `begin` with that."
    elif options.command == "begin":
        trust, prefix = options.trust.absolute(), options.origin_prefix
        yield from begin(folder, trust, options.signed, draft=options.draft, origin_prefix=prefix)
    elif options.command == "next":
        key = next_key(folder, options.trust, options.out, fresh=options.fresh)
        yield f"key {key.key.key_id} ({key.backend}, {key.assurance}) is to sign next: every holder compares it"
        yield f"{options.out} describes it: `counterfoil keys ... --next` it where the ledger runs."
    else:
        change = install_signed(folder, options.trust.absolute(), options.signed, options.out, proofs=options.proofs)
        yield f"key registry version {change.version}, sha256 {change.sha256}: {change.action}"
        if change.successor is not None:
            yield f"key {change.successor} signs from here on: start the proxy with the settings that name it"
        yield f"{options.out}: `counterfoil keys tell` it where the ledger runs, once the proxy is up."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ledger_core.ceremony.host", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("first", help="draft registry version 1")
    begun = commands.add_parser("begin", help="take version 1 with the roots' signatures")
    described = commands.add_parser("next", help="describe the key that is to sign next")
    installed = commands.add_parser("install", help="take the next version with the roots' signatures")
    for each in (made, begun, described, installed):
        each.add_argument("--state", type=Path, required=True, help="the proxy's folder")
    for each in (made, begun):
        each.add_argument("--origin-prefix", required=True, help="<domain>/<env>/ of the logs signed here")
    for each in (begun, described, installed):
        each.add_argument("--trust", type=Path, required=True, help="the trust file beside the proxy")
    for each in (begun, installed):
        each.add_argument("signed", type=Path, nargs="+", metavar="SIG", help="what `keys sign-root` wrote")
    for each in (made, described, installed):
        each.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to be written")
    begun.add_argument("--draft", type=Path, required=True, metavar="FILE", help="what `first` wrote on this host")
    made.add_argument("--root", type=Path, action="append", required=True, metavar="PUB", help="a root's public key")
    made.add_argument("--threshold", type=int, required=True, metavar="K", help="how many roots must agree")
    described.add_argument("--fresh", action="store_true", help="after a theft: take no key that lay ready")
    installed.add_argument("--proofs", type=Path, metavar="FILE", help="of a compromise: what the draft's host proves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
