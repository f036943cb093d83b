"""Why a key was neither wrapped nor opened: one name and one remedy each, whoever the keeper is.

The runbook lists them: docs/runbooks/file-keys.md. How keepers are reached stands in `base.keepers`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_core.base.keepers.custody import Custody, Trouble
from ledger_core.errors import ConfigurationError, KeyNotOpened

RUNBOOK = "docs/runbooks/file-keys.md"

TROUBLES: Mapping[str, Trouble] = {
    "throttled": Trouble(remedy="Ask again; raise the quota, or find who else uses it up."),
    "slow": Trouble(remedy="Ask again; look at the network to it and at its load."),
    "unreachable": Trouble(remedy="Ask again; look at its address, its certificate and the network."),
    "failing": Trouble(remedy="Ask again; look at its own log or status page."),
    "sealed": Trouble(remedy="Unseal it, and run the same command again."),
    "session_lost": Trouble(remedy="Ask again: the next request logs in anew."),
    "token_absent": Trouble(remedy="Put the token back, or name the right one."),
    "credentials": Trouble(remedy="Renew what this host logs in with; the next request reads it again."),
    "pin_wrong": Trouble(remedy="Put the right PIN into the file; it is read again, a refused one never tried twice."),
    "pin_locked": Trouble(remedy="Have the token's officer unlock the PIN, then write the file anew.", later=False),
    "denied": Trouble(remedy=f"Give this host's role what the policy in {RUNBOOK} lists.", later=False),
    "not_found": Trouble(remedy="Restore the key of that name: what it wrapped opens under no other.", later=False),
    "disabled": Trouble(remedy="Enable the key or its version, or cancel its deletion.", later=False),
    "wrong_region": Trouble(remedy="Name the key and the endpoint of one region.", later=False),
    "wrong_key": Trouble(remedy="Put back the key that the message names: another one opens nothing.", later=False),
    "wrong_context": Trouble(remedy=f"Restore its row from a backup, and see who wrote to it: {RUNBOOK}.", later=False),
    "misconfigured": Trouble(remedy="Mend the setting or the file; the next request reads it again."),
    "forked": Trouble(remedy="Open the key in the process that uses it.", later=False),
}
"""Why no key was wrapped or opened, by name."""

WRAPPING = Custody(troubles=TROUBLES, outcome="no key was wrapped or opened")


def not_opened(keeper: str, said: object) -> KeyNotOpened:
    """Return the error for a wrapped key that is not what was wrapped, or not for that context."""
    return KeyNotOpened(
        f"{keeper}: wrong context: the wrapped key is another one's, or was changed ({str(said).rstrip('.')}).",
        remedy=TROUBLES["wrong_context"].remedy,
        reason="wrong_context",
    )


def made_there(keeper: str) -> ConfigurationError:
    """Return the refusal to make the next key of a keeper from here."""
    return ConfigurationError(
        f"{keeper}: its next key, or version, is made there and not from here.",
        remedy=f"Make it there, name it in the settings, then `counterfoil file-keys rewrap`: {RUNBOOK}.",
    )
