"""What is done with an event that moves money: posted, proposed to a person, or left to whoever posts it already.

By type of event, with `*` for what begins alike (`charge.*`), and a default. Without a word an account that has a
secret posts: setting one says that webhooks are to count. Whoever books the same sales by another way sets `leave`,
or both would book them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger_core.errors import ConfigurationError

POST: Final = "post"
PROPOSE: Final = "propose"
LEAVE: Final = "leave"
CHOICES = (POST, PROPOSE, LEAVE)
DEFAULT = "default"
_TYPE = re.compile(r"[A-Za-z0-9._:-]{1,120}\*?|\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is chosen, by type of event or by its beginning; `default` for the rest, None where nothing was said."""

    default: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)

    def of(self, type: str) -> str | None:
        """Return what is done with events of `type`: the longest name that fits says so."""
        if type in self.choices:
            return self.choices[type]
        fitting = [name for name in self.choices if name.endswith("*") and type.startswith(name[:-1])]
        return self.choices[max(fitting, key=len)] if fitting else self.default


def read_policy(given: object, *, file: str) -> Policy:
    """Return what stands under `policy`: one word for all, or a mapping. Raises `ConfigurationError`."""
    if given is None:
        return Policy()
    mapping = {DEFAULT: given} if isinstance(given, str) else given
    if not isinstance(mapping, dict):
        raise ConfigurationError("`policy` is a word, or maps types of events to words.", file=file, remedy=_FORM)
    for name, choice in mapping.items():
        if not isinstance(name, str) or not _TYPE.fullmatch(name):
            raise ConfigurationError(f"policy: {str(name)[:40]!r} is no type of event.", file=file, remedy=_FORM)
        if choice not in CHOICES:
            raise ConfigurationError(
                f"policy: {name} is {str(choice)[:20]!r}, and must be one of {', '.join(CHOICES)}.",
                file=file,
                remedy=_FORM,
            )
    choices = {name: choice for name, choice in mapping.items() if name != DEFAULT}
    return Policy(default=mapping.get(DEFAULT), choices=choices)


_FORM = "Write `policy: {default: post, payout.*: propose}`."
