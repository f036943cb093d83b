"""Give the proxy its memory back: `python -m ledger_core.signing.recover --state DIR --trust FILE --checkpoint NOTE`.

For an operator whose state is gone, empty, damaged or older than the key's last use, and who has no newer copy. Each
NOTE is the newest checkpoint of one log that anybody holds: from the archive, from callers' answers, from the ledger.
Not for a running proxy, and no way back: only notes that the key itself signed count, none may be older than what is
known here of its log, and the state that was found is kept aside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from ledger_core.base.files import unusable
from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import Checkpoint
from ledger_core.log.object_tree import Place
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.anchors import newest_anchors, open_archive, read_note
from ledger_core.signing.folder import KEYS_FILE, LAST_USE_FILE, STATE_FILE, hold_folder
from ledger_core.signing.last_use import LastUse, Use, read_last_use
from ledger_core.signing.open import choose_backend
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import former_keys


def main(arguments: list[str] | None = None) -> int:
    """Make the state from checkpoints; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.signing.recover", description=__doc__.split("\n")[0])
    parser.add_argument("--state", type=Path, required=True, help="the proxy's folder")
    parser.add_argument("--trust", type=Path, required=True, help="the trust file of this home")
    parser.add_argument("--archive", help="archive whose newest checkpoints may not be left out")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a signed note; once a log")
    parser.add_argument(
        "--lost-last-use", action="store_true", help="go on although the key is known to have signed more than this"
    )
    options = parser.parse_args(arguments)
    try:
        with hold_folder(options.state):
            given = recover(
                options.state,
                trust_path=options.trust,
                archive=open_archive(options.archive, load_signer_settings()),
                notes=options.checkpoint,
                lost_last_use=options.lost_last_use,
            )
    except (CounterfoilError, OSError) as error:
        told = error if isinstance(error, CounterfoilError) else unusable(error)
        sys.stderr.write(f"{told}\n")
        return 2
    for item in given:
        sys.stdout.write(f"{item.origin} goes on from size {item.size}\n")
    return 0


def recover(
    folder: Path, *, trust_path: Path, archive: Place | None, notes: Sequence[Path], lost_last_use: bool = False
) -> list[Checkpoint]:
    """Make the state in `folder` from `notes` and from what is still known; return what it now holds.

    Raises `ConfigurationError`, and changes nothing, when a note does not count or something newer is known.
    """
    key = choose_backend(load_signer_settings()).open_key(load_signer_settings(), folder)
    key_id = key.public_key.key_id
    trust = TrustFile.load(trust_path)
    lines = (folder / KEYS_FILE).read_bytes().splitlines()
    ring = resolve_keys(trust, [parse_envelope(line) for line in lines if line])
    found = _given(notes, ring, trust)
    # What a key remembers that signed before this one is this one's to remember.
    ours = former_keys(ring) | {key_id}
    known, generation = _still_known(folder, ours)
    anchors = {} if archive is None else newest_anchors(archive, ring, trust.covers, known={*found, *known})
    for origin, item in (*known.items(), *anchors.items()):
        _take(found, item, asked_for=origin in anchors)
    use = _last_use(folder, ours, lost_last_use)
    if use is not None and use.origin is not None and not lost_last_use:
        _refuse_before(use.origin, use.size, found.get(use.origin), folder)
    generation = max(generation, use.generation if use else 0)
    kept = sorted(found.values(), key=lambda item: item.origin)
    _write(folder, kept, key_id, generation)
    return kept


def _given(notes: Sequence[Path], ring: KeyRing, trust: TrustFile) -> dict[str, Checkpoint]:
    found: dict[str, Checkpoint] = {}
    for path in notes:
        item = read_note(path, ring)
        if item is None or not trust.covers(item.origin):
            raise ConfigurationError(
                "this is no checkpoint that a key of this home signed.",
                file=str(path),
                remedy="Give a signed note: a segment's `checkpoint`, or what /finance/checkpoints/latest answered.",
            )
        if item.origin in found:
            raise ConfigurationError(
                f"two checkpoints of {item.origin} are given.", file=str(path), remedy="Give the newest one."
            )
        found[item.origin] = item
    if not found:
        raise ConfigurationError("no checkpoint is given.", remedy="Give the newest one of each log with --checkpoint.")
    return found


def _still_known(folder: Path, ours: Set[str]) -> tuple[dict[str, Checkpoint], int]:
    """Return what the state in `folder` still says, and its number; nothing where it is no state of this key."""
    try:
        state = WitnessState(folder / STATE_FILE, create=False)
    except ConfigurationError:
        return {}, 0
    try:
        if state.owner not in ours:
            return {}, 0
        known = {origin: state.last(origin) for origin in state.origins()}
        return {origin: item for origin, item in known.items() if item is not None}, state.generation
    finally:
        state.close()


def _last_use(folder: Path, ours: Set[str], lost: bool) -> Use | None:
    try:
        use = read_last_use(folder / LAST_USE_FILE)
    except ConfigurationError:
        if not lost:
            raise
        return None
    return use if use is not None and use.key_id in ours else None


def _take(found: dict[str, Checkpoint], item: Checkpoint, *, asked_for: bool) -> None:
    """Keep the newer of what is given of a log and what is known of it. Raises `ConfigurationError`."""
    given = found.get(item.origin)
    if given is not None and given.size == item.size and given.root != item.root:
        raise ConfigurationError(
            f"two roots of {item.origin} at size {item.size} are signed.",
            remedy="The key signed two histories: keep both as evidence and end the key.",
        )
    if asked_for and (given is None or given.size < item.size):
        raise ConfigurationError(
            f"the archive holds a checkpoint of {item.origin} at size {item.size}, newer than what is given.",
            remedy="Give that one, or a newer one, with --checkpoint.",
        )
    if given is None or given.size < item.size:
        found[item.origin] = item


def _refuse_before(origin: str, size: int, item: Checkpoint | None, folder: Path) -> None:
    if item is None or item.size < size:
        raise ConfigurationError(
            f"the key was last used for {origin} at size {size}, and nothing that new is given.",
            file=str(folder / LAST_USE_FILE),
            remedy="Look for it in callers' answers and in ledger.checkpoints. Only if it is lost for good: "
            "--lost-last-use, after which a second history from there on would be signed.",
        )


def _write(folder: Path, kept: Sequence[Checkpoint], key_id: str, generation: int) -> None:
    path, made = folder / STATE_FILE, folder / f".{STATE_FILE}.recovered"
    made.unlink(missing_ok=True)
    state = WitnessState(made, create=True)
    state.fill(kept, generation=generation)
    number = state.generation
    state.bind(key_id, lambda: LastUse.create(folder / LAST_USE_FILE, Use(key_id=key_id, generation=number)))
    state.close()
    now = datetime.now(UTC)
    # What belongs to the file that is put aside goes with it: a journal would be played into the new one.
    for old in (path, *(folder / f"{STATE_FILE}-{name}" for name in ("journal", "wal", "shm"))):
        if old.exists():
            old.rename(folder / f"aside-{now:%Y%m%dT%H%M%S%f}.{old.name}")
    made.rename(path)


if __name__ == "__main__":
    sys.exit(main())
