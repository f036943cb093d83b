"""dbt's documentation of the models as one page that works without the network: `make docs`.

With a home (or `DATABASE_URL`) the page also shows what the database holds of each model; without one it is made of the
project alone, so that a fresh clone can read it: a home is never made for the sake of a page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger_core.errors import CannotRun, ConfigurationError, CounterfoilError
from ledger_core.runtime import ensure_database
from ledger_core.settings import Settings, load_settings
from reconciliation.runs.code_version import project_folder
from reconciliation.runs.dbt_runner import Dbt

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
"""dbt's page is one inline script that builds templates by `eval`; it may run, and may ask nobody for anything."""

_HEAD = '<meta charset="utf-8">'
_ICON = """<link rel="shortcut icon" href="${require('./assets/favicons/favicon.ico')}"/>"""
_TRACKERS = ("//d1fc8wv8zag5ca.cloudfront.net/2.9.0/sp.js", "fishtownanalytics.sinter-collect.com")
_NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def make_docs(settings: Settings, destination: Path) -> bool:
    """Write the page to `destination`; return whether it tells what the database holds.

    Raises `CannotRun` when dbt cannot make it.
    """
    home = _home_of(settings)
    if home is None:
        with TemporaryDirectory() as folder:
            page = Dbt(home=Path(folder), database_url=_NOWHERE).docs_page(with_catalog=False)
    else:
        page = Dbt(home=home, database_url=ensure_database(settings)).docs_page(with_catalog=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Where the project lies on this machine is nobody's business.
    project = project_folder()
    destination.write_text(without_network(page).replace(str(project), project.name), encoding="utf-8")
    return home is not None


def without_network(page: str) -> str:
    """Return dbt's page under a policy that refuses every request, without its tracker's addresses.

    Raises `CannotRun` for a page that is not built as dbt 1.11 builds it.
    """
    if page.count(_HEAD) != 1:
        raise CannotRun(
            "dbt's page has another head than expected: no policy can be put into it.",
            remedy="Look at dbt's docs/index.html of the installed version and mend reconciliation/runs/dbt_docs.py.",
        )
    policy = f'{_HEAD}<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace(_HEAD, policy).replace(_ICON, '<link rel="icon" href="data:,">')
    for address in _TRACKERS:
        page = page.replace(address, "")
    return page


def main(arguments: list[str] | None = None) -> int:
    """Make the page that the argument names."""
    parser = argparse.ArgumentParser(prog="python -m reconciliation.runs.dbt_docs")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args(arguments)
    try:
        with_catalog = make_docs(load_settings(), options.out)
    except CounterfoilError as error:
        print(f"counterfoil: {error}", file=sys.stderr)
        return 2
    print(f"The models are described in {options.out}: open it in a browser.")
    if not with_catalog:
        print("There is no home here, so it does not say what the database holds; `counterfoil up` makes one.")
    return 0


def _home_of(settings: Settings) -> Path | None:
    try:
        return settings.home
    except ConfigurationError:
        return None


if __name__ == "__main__":
    sys.exit(main())
