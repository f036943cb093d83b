"""Whom to tell what after a change of keys, in lines; a change that nobody hears of protects nobody."""

from __future__ import annotations

import json

from ledger_core.ceremony.record import Done
from ledger_core.log.dsse import parse_envelope


def lines_of(done: Done) -> list[str]:
    """Return what was done and what is to be done by people."""
    change = done.change
    words = {
        "rotated": f"key {change.key_id} has ended, {change.successor} signs from here on",
        "revoked": f"key {change.key_id} is revoked"
        + (f", {change.successor} signs from here on" if change.successor else ""),
        "compromised": f"key {change.key_id} is compromised"
        + (f", {change.successor} signs from here on" if change.successor else ""),
        "roots": "the roots have changed",
    }
    lines = [f"{'finished what was begun: ' if done.was_begun else ''}{words[change.action]}"]
    if done.was_begun:
        lines.append("if you asked for one more, give that command again: one change is made at a time")
    lines.append(f"key registry version {change.version}, sha256 {change.sha256}")
    for origin, item in sorted(change.logs.items()):
        seq = done.recorded.get(origin)
        record = f"recorded at seq {seq}" if seq is not None else f"not recorded: {done.not_recorded.get(origin)}"
        again = "; the next change of keys tries again" if origin in done.untold else ""
        lines.append(f"  {origin} at size {item.size:,}: {record}{again}")
        if change.action == "compromised":
            lines.append(
                f"    beyond doubt up to size {item.good_size:,}, root {item.good_root}"
                if item.good_size is not None
                else "    nothing of it is beyond doubt: no checkpoint lay elsewhere before the theft"
            )
            if why_not := _why_not_reattested(item.statement):
                lines.append(f"    the records since are not vouched for: {why_not}")
    lines += [
        f"  {origin}: not recorded: {why}"
        for origin, why in sorted(done.not_recorded.items())
        if origin not in change.logs
    ]
    lines += [f"evidence that does not count: {line}" for line in done.dropped]
    return [*lines, "", "Tell:", *_auditors(done), *_others(done)]


def _why_not_reattested(statement: str | None) -> str | None:
    if statement is None:
        return None
    why_not = json.loads(parse_envelope(statement.encode()).payload).get("why_not_reattested")
    return None if why_not is None else str(why_not)


def _auditors(done: Done) -> list[str]:
    version = done.change.version
    pin = (
        f"- auditors: pin registry version {version} or later. `counterfoil keys trust --out FILE` writes the trust "
        "file; hand it over by another way than the export."
    )
    if done.change.action != "compromised":
        return [pin]
    return [
        pin,
        "- auditors: a trust file that pins less believes the stolen key where a registry without this version is "
        "shown.",
        "- auditors: verify the archive again from its beginning; of what the stolen key signed only that counts which "
        "lies in a tree that counts.",
        *(f"- auditors and whoever holds checkpoints: the signed statement {path}" for path in done.statements),
    ]


def _others(done: Done) -> list[str]:
    action = done.change.action
    backup = "- operators: back up the signer's folder as a whole; a copy from before is refused."
    if action == "roots":
        return ["- holders of roots that are none any more: destroy them.", backup]
    key = (done.change.key_id or "")[:16]
    old = f"- whoever keeps key {key} in a KMS or an HSM: disable it; its public half stays in the registry."
    if action != "compromised":
        return [old, backup]
    return [
        old,
        backup,
        "- whoever holds a proof under the stolen key: ask for it anew (`counterfoil proof`).",
        "- monitors and witnesses: a checkpoint that the stolen key alone signed from now on is the thief's; keep it.",
        "- finance: hold the records from the last size beyond doubt on against banks and providers "
        "(`counterfoil close`).",
    ]
