"""The results of the suites as one self-contained page: the library's own pages load scripts from the network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from expectations.model import Outcome, Scope
from expectations.words import STATES, observed_words, state_of

if TYPE_CHECKING:
    from jinja2 import Template


def page_of(outcomes: Sequence[Outcome], scope: Scope) -> str:
    """Return the page of `outcomes`; figures alone, never a row of a customer."""
    suites: dict[str, list[tuple[str, Outcome]]] = {}
    for outcome in outcomes:
        suites.setdefault(outcome.suite, []).append((state_of(outcome), outcome))
    states = [state for rows in suites.values() for state, _ in rows]
    counts = {state: states.count(state) for state in STATES}
    return _template().render(suites=suites, scope=scope, counts=counts, words=STATES, observed=observed_words)


def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("expectations").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)
