"""What decides a run's answer, by name: the dbt project and the modules of this room that choose, count and merge.

The digest of it stands in every run's pin, so equal input under equal code is the same run. It must not depend on
where a file lies: an installed wheel and a checkout give one version, and a module that moves keeps its own. So each
input has a name that outlives its path, and of an import only the names count that it brings, not where from.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from ledger_core.errors import ConfigurationError

DECIDES = {
    "dbt_runner": "reconciliation.runs.dbt_runner",
    "feeds": "reconciliation.runs.feeds",
    "findings": "reconciliation.runs.findings",
    "identity": "reconciliation.breaks.identity",
    "manifest": "reconciliation.runs.manifest",
    "match_rate": "reconciliation.runs.match_rate",
    "merge": "reconciliation.breaks.merge",
    "output_hashes": "reconciliation.runs.output_hashes",
    "pins": "reconciliation.runs.pins",
    "runs": "reconciliation.runs.run",
}
"""The modules that decide: the name in the digest, which stays, and where the module lies today."""
DECIDES_NOT = frozenset({"reconciliation.runs.code_version", "reconciliation.runs.touched"})
"""What a run imports of this room and what cannot change its answer."""
READ_SUFFIXES = frozenset({".sql", ".yml", ".csv"})
OURS = frozenset({"ledger_core", "ingest", "sample", "payments", "reconciliation", "expectations"})


def project_folder() -> Path:
    """Return the dbt project: inside this package where it is installed, beside it in a checkout.

    An installation cannot have it beside the package: the folder `dbt` there is dbt-core's. Raises `ConfigurationError`
    when it is in neither place.
    """
    room = Path(str(files("reconciliation")))
    for folder in (room / "dbt_project", room.parent / "dbt"):
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise ConfigurationError(
        f"no dbt project in {room}, nor beside it.", remedy="Install Counterfoil again, from its wheel or source tree."
    )


def code_version() -> str:
    """Return the digest of what decides a run's answer."""
    digest = sha256(_modules_digest())
    project = project_folder()
    for path in sorted(project.rglob("*"), key=lambda path: path.relative_to(project).as_posix()):
        name = path.relative_to(project)
        if path.suffix in READ_SUFFIXES and "target" not in name.parts:
            digest.update(b"dbt/" + name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def _modules_digest() -> bytes:
    """Return the digest of the modules; what is loaded does not change while this process lives."""
    digest = sha256()
    for name, module in sorted(DECIDES.items()):
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        assert spec.origin is not None, module
        source = Path(spec.origin).read_text(encoding="utf-8")
        digest.update(name.encode() + b"\0" + without_places(source).encode() + b"\0")
    return digest.digest()


def without_places(source: str) -> str:
    """Return `source` without blank lines, its imports from our rooms reduced to a sorted list of the names they bring.

    Positions alone are taken from the parser, so that every version of Python returns the same text.
    """
    lines: list[str | None] = [*source.splitlines()]
    brought: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        if any(module.partition(".")[0] in OURS for module in modules):
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [None] * (node.end_lineno - node.lineno + 1)
            brought += (f"{_last(alias.name)} as {alias.asname or _last(alias.name)}" for alias in node.names)
    return "\n".join([*sorted(brought), *(line for line in lines if line and not line.isspace())])


def _last(name: str) -> str:
    return name.rpartition(".")[2]
