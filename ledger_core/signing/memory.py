"""Is this the memory that the key had when it was used last? Asked once, before the proxy signs anything.

A key signs on only with what it signed before. Refused, each by name: a state that is gone, empty, damaged, another
key's, or older than the key's last use; and one that is behind the archive (`signing.anchors`). Nothing is made up
where a key was used: how an operator goes on is `signing.recover`.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from ledger_core.errors import ConfigurationError
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE, LAST_USE_FILE, STATE_FILE
from ledger_core.signing.last_use import LastUse, Use, read_last_use
from ledger_core.signing.state import REMEDY, WitnessState


def open_state(folder: Path) -> WitnessState:
    """Return the state in `folder`, making it where no key was ever used. Raises `ConfigurationError`."""
    path = folder / STATE_FILE
    # A key that lies elsewhere leaves no file here, but the registry that names it and its last use do.
    used = any((folder / name).exists() for name in (KEY_FILE, KEYS_FILE, LAST_USE_FILE))
    if not path.exists() and used:
        raise ConfigurationError(
            "there is a signing key and no record of what it signed.", file=str(path), remedy=REMEDY
        )
    # A first start that was killed may leave a file of no bytes, and no key yet.
    return WitnessState(path, create=not used)


def bind_state(state: WitnessState, folder: Path, key_id: str, *, former: Set[str] = frozenset()) -> None:
    """Let `state` and the key belong together from now on. Raises `ConfigurationError` where they do not.

    `former` are the keys that signed before this one, by the signed registry: their memory is this one's.
    """
    path = folder / LAST_USE_FILE
    use, first_start = read_last_use(path), not (folder / KEYS_FILE).exists()
    known = former | {key_id}
    if state.owner is not None and state.owner not in known:
        raise _refusal(folder, f"it is that of key {state.owner:.16}, the one here is {key_id:.16}")
    if use is not None and use.key_id not in known:
        raise _refusal(folder, f"the key used last was {use.key_id:.16}, the one here is {key_id:.16}")
    if use is None:
        # The first form of the file, with something in it, is taken over once; it had no record of the last use.
        taken_over = state.owner is None and bool(state.sizes())
        if not (taken_over or (first_start and state.generation == 0)):
            raise _refusal(folder, "the record of the key's last use is gone")
        state.bind(key_id, lambda: LastUse.create(path, Use(key_id=key_id, generation=state.generation)))
    elif state.owner is None or state.generation < use.generation:
        behind = f"number {state.generation}" if state.owner else "without a number"
        raise _refusal(folder, f"it is an older copy, {behind}, and the key was used at number {use.generation}")
    elif use.key_id == key_id:
        state.bind(key_id, lambda: LastUse(path, key_id))
    else:
        # The state first: with the record of a former key beside it, this is simply done again.
        inherited = Use(key_id=key_id, generation=state.generation, origin=use.origin, size=use.size)
        state.bind(key_id, lambda: LastUse.create(path, inherited))


def _refusal(folder: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the witness state is not what this key signed last: {why}.", file=str(folder / STATE_FILE), remedy=REMEDY
    )
