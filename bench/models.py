"""One dbt model as SQL, without dbt: for a benchmark that gives a model tables of its own making.

Only what the models around coverage use: `ref`, `source`, `target.schema` and the project's macros that are SQL. No
hooks and no tests; what is measured is the query.
"""

from __future__ import annotations

from types import SimpleNamespace

import jinja2
from sqlalchemy import Connection, text

from reconciliation.runs.code_version import project_folder

MACROS = ("business_days", "pin")


def build(connection: Connection, schema: str, name: str, *, kind: str) -> None:
    """Make `name` in `schema` as a `view` or a `table` of what stands there."""
    connection.execute(text(f"create {kind} {schema}.{name} as {render(schema, name)}"))
    if kind == "table":
        connection.execute(text(f"analyze {schema}.{name}"))


def render(schema: str, name: str) -> str:
    """Return the query of the model `name` over `schema`."""
    (path,) = project_folder().glob(f"models/**/{name}.sql")
    macros = "\n".join((project_folder() / "macros" / f"{macro}.sql").read_text() for macro in MACROS)
    template = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined).from_string(
        macros + path.read_text(),
        globals={
            "ref": lambda model: f"{schema}.{model}",
            "source": lambda folder, table: f"{folder}.{table}",
            "target": SimpleNamespace(schema=schema),
        },
    )
    return template.render()
