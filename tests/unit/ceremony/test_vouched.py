"""A carried change is repeated by the log as far as the registry and the key that signs vouch for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_core.ceremony import elsewhere
from ledger_core.ceremony.carried import Carried, NextKey, change_bytes, read_told_change
from ledger_core.ceremony.install import install
from ledger_core.ceremony.offline import sign_draft
from ledger_core.ceremony.vouched import vouched_change
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, IntegrityError
from ledger_core.log.dsse import Envelope
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import Checkpoint, encode_base64
from ledger_core.log.record import format_time
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change
from ledger_core.signing.documents import compromised, next_document, rotated
from ledger_core.signing.takeover import describe, open_successor, read_registry
from tests.unit.ceremony.homes import LEAVES, MAIN, NOW, PREFIX, SIDE, desk_of

GOOD = Checkpoint(MAIN, 5, Frontier().extend(LEAVES[:5]).root())


def made(home: Path, action: str) -> tuple[list[Envelope], Change, dict[str, Checkpoint]]:
    """Make the change; return the registry, what the proxy's host tells of it, and what was signed last."""
    with desk_of(home) as desk:
        keys = list(desk.ring.keys)
        if action == "roots":
            other = software.load_or_create(home / "other.pem").public_key
            payload = next_document(desk.ring, keys, created_at="", roots=[*desk.ring.roots, other])
        else:
            successor = describe(open_successor(desk.folder, desk.settings, desk.ring, fresh=True))
            if action == "compromised":
                changed = compromised(keys, keys[0], {MAIN: GOOD}, f"{PREFIX}*", successor=successor)
            else:
                changed = rotated(keys, successor, desk.state.sizes(), f"{PREFIX}*", window=3)
            payload = next_document(desk.ring, changed, created_at=format_time(NOW))
        seat: Any = SimpleNamespace(
            folder=desk.folder, state=desk.state, trust=desk.trust, trust_path=desk.trust_path, shown=Carried(),
            registry=desk.registry, ring=desk.ring, settings=desk.settings, now=lambda: NOW,
        )  # fmt: skip
        change = install(seat, sign_draft(payload, software.load(desk.folder / "root.pem")))
        return read_registry(desk.folder), change, desk.state.all()


def told(home: Path, change: Change, edit: Callable[[dict[str, Any]], Any] = lambda _value: None) -> Change:
    """What the ledger's host reads once somebody has edited the file."""
    value = json.loads(change_bytes(change))
    edit(value["change"])
    path = home / "change.json"
    path.write_text(json.dumps(value))
    return read_told_change(path)


@pytest.mark.parametrize("action", ["rotated", "compromised", "roots"])
def test_what_the_proxys_host_wrote_is_vouched_for_as_it_is(home: Path, action: str) -> None:
    registry, change, last = made(home, action)
    found, ring = vouched_change(registry, told(home, change), last, home / "change.json")
    assert asdict(found) == asdict(change)
    assert ring.version == 2
    if action == "compromised":
        assert (found.logs[MAIN].good_size, found.logs[SIDE].good_size) == (5, None)


def all_logs(**members: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: [item.update(members) for item in value["logs"].values()]


def log(origin: str, **members: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: value["logs"][origin].update(members)


def no_change_of_keys(value: dict[str, Any]) -> None:
    """The roots alone have changed, says the file, and every member agrees."""
    value.update(action="roots", key_id=None, successor=None)
    all_logs(note="", statement=None, good_note=None, good_size=None, good_root=None)(value)


def swapped(member: str) -> Callable[[dict[str, Any]], Any]:
    def edit(value: dict[str, Any]) -> None:
        one, two = value["logs"][MAIN], value["logs"][SIDE]
        one[member], two[member] = two[member], one[member]

    return edit


OTHER_ROOT = encode_base64(bytes(range(32)))
EDITS: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    *((action, no_change_of_keys) for action in ("rotated", "compromised")),
    *((action, lambda value: value.update(action="revoked")) for action in ("rotated", "compromised", "roots")),
    *((action, lambda value: value.update(key_id=None)) for action in ("rotated", "compromised")),
    *((action, lambda value: value.update(successor=None)) for action in ("rotated", "compromised")),
    *((action, lambda value: value.update(successor="ab" * 32)) for action in ("rotated", "compromised", "roots")),
    *((action, lambda value: value.update(key_id="ab" * 32)) for action in ("rotated", "compromised", "roots")),
    *((action, all_logs(note="")) for action in ("rotated", "compromised")),
    *((action, log(MAIN, root=OTHER_ROOT)) for action in ("rotated", "compromised", "roots")),
    *((action, log(MAIN, size=11)) for action in ("rotated", "compromised", "roots")),
    *((action, log(MAIN, size=9)) for action in ("rotated", "compromised")),
    *((action, swapped("note")) for action in ("rotated", "compromised")),
    ("rotated", log(MAIN, good_size=3, good_root=OTHER_ROOT)),
    ("roots", log(MAIN, good_size=3)),
    ("compromised", log(MAIN, statement=None)),
    ("compromised", swapped("statement")),
    ("compromised", log(MAIN, good_note=None)),
    ("compromised", lambda value: log(SIDE, good_note=value["logs"][MAIN]["good_note"])(value)),
    ("compromised", lambda value: log(MAIN, good_note=value["logs"][MAIN]["note"])(value)),
]


@pytest.mark.parametrize(("action", "edit"), EDITS)
def test_a_member_that_was_changed_or_left_out_is_vouched_for_by_nobody(
    home: Path, action: str, edit: Callable[[dict[str, Any]], Any]
) -> None:
    registry, change, last = made(home, action)
    with pytest.raises((IntegrityError, CounterfoilError), match="signed by no key of the registry"):
        vouched_change(registry, told(home, change, edit), last, home / "change.json")


@pytest.mark.parametrize("edit", [all_logs(good_size=4), all_logs(good_root=OTHER_ROOT, good_size=9)])
def test_the_tree_beyond_doubt_is_the_statements(home: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    registry, change, last = made(home, "compromised")
    found, _ = vouched_change(registry, told(home, change, edit), last, home / "change.json")
    assert found.logs == change.logs


def test_the_first_version_of_a_registry_is_no_change(home: Path) -> None:
    registry, change, last = made(home, "rotated")
    with desk_of(home) as desk:
        sha256 = desk.ring.documents[0][1]
    with pytest.raises(IntegrityError, match="no change led to version 1"):
        vouched_change(
            registry, told(home, change, lambda value: value.update(version=1, sha256=sha256)), last, home / "c"
        )


# What the ledger's host believes of the size of each log, before anything is drafted.


def asked(described: NextKey | None, signer: Any) -> tuple[Any, list[str]]:
    runtime: Any = SimpleNamespace(signer=signer, settings=SimpleNamespace(origin_prefix=PREFIX))
    said: list[str] = []
    return elsewhere._asked(runtime, described, said.append), said


def described_of(home: Path) -> NextKey:
    with desk_of(home) as desk:
        key = describe(open_successor(desk.folder, desk.settings, desk.ring))
        return NextKey(successor=key, registry=tuple(desk.registry), last=desk.state.all())


def test_a_log_that_the_proxy_hides_from_this_client_is_named_and_nothing_is_drafted(home: Path) -> None:
    described = described_of(home)
    tree = described.last[MAIN]
    signer = SimpleNamespace(keys=list, remembered=lambda: {MAIN: (tree.size, tree.root)})
    with pytest.raises(ConfigurationError, match=f"has signed {SIDE}, and does not show it") as caught:
        asked(described, signer)
    assert f"{PREFIX}*" in str(caught.value)
    whole = {origin: (item.size, item.root) for origin, item in described.last.items()}
    (_, last), said = asked(described, SimpleNamespace(keys=list, remembered=lambda: whole))
    assert (last, said) == (described.last, [])


def test_where_the_proxy_does_not_answer_it_is_said_whose_word_the_sizes_are(home: Path) -> None:
    def away() -> Any:
        raise DependencyError("the signing proxy is away.")

    described, signer = described_of(home), SimpleNamespace(keys=away)
    (_, last), (line,) = asked(described, signer)
    assert last == described.last
    assert "those of the file given with --next" in line
    with pytest.raises(DependencyError):
        asked(None, signer)
