"""Who did it: the subject that stands in every record."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A caller as the authenticator vouches for it: a pseudonymous `subject`, its `role`, what it may do."""

    subject: str
    role: str = "service"
    scopes: frozenset[str] = field(default_factory=frozenset)

    def as_body(self) -> dict[str, str]:
        """Return the member `actor` of a record's body. Scopes are policy of the day and stay out of it."""
        return {"role": self.role, "subject": self.subject}
