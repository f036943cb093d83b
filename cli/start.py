"""What the console script starts: the command line, or a sentence on what to install for it.

The base of the distribution and most of its extras come without the command line, and the script comes with all.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run `counterfoil`."""
    try:
        from cli.main import main as run

        run()  # commands import what they need, and some need what another extra brings
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"counterfoil: this needs {error.name}, which is not installed. "
            "Install what every command needs: pip install 'counterfoil[all]'. "
            "To verify an export or a proof this installation will do: python -m ledger_core.log PATH --trust FILE.\n"
        )
        sys.exit(2)
