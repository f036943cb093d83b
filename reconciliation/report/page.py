"""From the report to its page: one HTML file that loads nothing, prints well and works without script.

Everything that came from outside is escaped by the template engine; only our own style, script and drawings are markup.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from reconciliation.report.amounts import format_amount, format_count, format_day, format_rate
from reconciliation.report.model import Report
from reconciliation.report.view import view_of

if TYPE_CHECKING:
    from jinja2 import Template


def page_of(report: Report) -> str:
    """Return the page of `report`; the same report gives the same bytes."""
    from markupsafe import Markup

    return _template().render(
        report=report,
        view=view_of(report),
        css=Markup(_resource("page.css")),  # noqa: S704 - ours
        js=Markup(_resource("page.js")),  # noqa: S704 - ours
        amount=format_amount,
        count=format_count,
        rate=format_rate,
        day=format_day,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("page.html.j2"))


def _resource(name: str) -> str:
    return files("reconciliation.report").joinpath(name).read_text(encoding="utf-8")
