"""Assemble the commands and map what goes wrong to an exit status."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import psycopg
import typer
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cli.commands import (
    archive,
    close,
    contracts,
    erasure,
    events,
    file_keys,
    keys,
    ledger,
    processes,
    quarantine,
    reconciliation,
    recovery,
    sources,
    webhooks,
)
from cli.errors import as_json, exit_status
from cli.output import note, print_json
from ledger_core.base.files import unusable
from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.settings.environment import SettingsWarning

app = typer.Typer(
    name="counterfoil",
    help="Reconcile what providers and banks say with a signed ledger, and prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_MODULES = (
    processes,
    sources,
    contracts,
    quarantine,
    ledger,
    reconciliation,
    close,
    archive,
    recovery,
    keys,
    file_keys,
    erasure,
    events,
    webhooks,
)
for module in _MODULES:
    module.register(app)


def main() -> None:
    """Run the console script."""
    _say_settings_warnings()
    try:
        app()  # Typer itself exits: 0, what a command raised as `typer.Exit`, or 2 for words that it does not know
    except CounterfoilError as error:
        _report(error)
        sys.exit(exit_status(error))
    except OSError as error:
        # A file that is a folder, a home of another user, a full disk: of whatever command.
        told = unusable(error)
        _report(told)
        sys.exit(exit_status(told))
    except (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError) as error:
        lost = DependencyError(
            f"the database went away: {str(getattr(error, 'orig', error)).strip().splitlines()[0]}",
            remedy="Run the same command again: what is done stays done.",
        )
        _report(lost)
        sys.exit(exit_status(lost))


def _say_settings_warnings() -> None:
    """Say what is wrong with a name in the environment as a sentence, without the line of ours that noticed it."""
    show = warnings.showwarning

    def say(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, SettingsWarning):
            note(f"counterfoil: {message}")
        else:
            show(message, category, *place)

    warnings.showwarning = say


def _report(error: CounterfoilError) -> None:
    if "--json" in sys.argv:
        print_json(as_json(error))
    note(f"counterfoil: {error}")


if __name__ == "__main__":
    main()
