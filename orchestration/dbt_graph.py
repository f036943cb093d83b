"""The dbt project as a graph: which models there are, what feeds them, which tests stand on them.

Read from the manifest that dbt's parser writes, reduced to what the asset graph shows and kept in the home under a
name made of the project's content: a changed project is parsed again, an unchanged one costs a file read and no import
of dbt.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ledger_core.settings import Settings
from orchestration.dagster_home import FOLDER_NAME

Key = tuple[str, str]
"""A node of the graph: (layer or schema, name); sources are (schema, table)."""

FORMAT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtModel:
    name: str
    layer: str
    description: str
    materialized: str
    checksum: str
    depends_on: tuple[Key, ...]
    columns: tuple[tuple[str, str, str], ...]
    """(name, data type, description) of each column that the contract declares."""

    @property
    def key(self) -> Key:
        return self.layer, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtTest:
    name: str
    model: Key
    severity: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtGraph:
    models: tuple[DbtModel, ...]
    """Parents before their children."""
    tests: tuple[DbtTest, ...]


def graph_of(manifest: Mapping[str, Any]) -> DbtGraph:
    """Return the graph of `manifest` (dbt's `manifest.json`, version 12), in a stable order."""
    keys = {unique_id: _key(node) for unique_id, node in _graph_nodes(manifest)}
    models = tuple(
        DbtModel(
            name=node["name"],
            layer=_layer(node),
            description=node.get("description") or head_comment(node.get("raw_code") or ""),
            materialized=node["config"]["materialized"],
            checksum=node["checksum"]["checksum"],
            depends_on=tuple(sorted({keys[parent] for parent in node["depends_on"]["nodes"] if parent in keys})),
            columns=tuple(
                (column["name"], column.get("data_type") or "", column.get("description") or "")
                for column in node["columns"].values()
            ),
        )
        for _, node in sorted(manifest["nodes"].items())
        if node["resource_type"] == "model" and node["config"]["enabled"]
    )
    depth = _depths(models)
    models = tuple(sorted(models, key=lambda model: (depth[model.key], model.key)))
    tests = tuple(_tests(manifest, keys, models))
    return DbtGraph(models=models, tests=tests)


def project_graph(settings: Settings) -> DbtGraph:
    """Return the graph of Counterfoil's own dbt project; its first reading in a home takes dbt's parser."""
    from reconciliation.runs.code_version import project_folder
    from reconciliation.runs.dbt_runner import Dbt

    folder = settings.home / FOLDER_NAME
    # Parsing writes a profile: one that leads nowhere, beside the one that runs use.
    dbt = Dbt(home=folder, database_url="postgresql://nobody@127.0.0.1:1/nowhere")
    return load_graph(project_folder(), folder, dbt.manifest)


def load_graph(project: Path, cache: Path, parse: Callable[[], Mapping[str, Any]]) -> DbtGraph:
    """Return the graph of `project`, from `cache` when its content is the one that was parsed.

    `parse` takes no argument and returns the manifest as a mapping; it is called for a changed project only.
    """
    target = cache / f"dbt-graph-{fingerprint(project)}.json"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".{target.name}.{os.getpid()}"
        draft.write_text(json.dumps(asdict(graph_of(parse()))))
        draft.replace(target)
    return _from_json(json.loads(target.read_text()))


def fingerprint(project: Path) -> str:
    """Return a digest of every file of the project that dbt reads."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for path in sorted(project.rglob("*")):
        if path.suffix in {".sql", ".yml", ".yaml", ".csv", ".md"} and "target" not in path.relative_to(project).parts:
            digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def head_comment(code: str) -> str:
    """Return the sentence that a model opens with: its comment lines before the first word of SQL."""
    lines = []
    for line in code.splitlines():
        if line.startswith("--"):
            lines.append(line.removeprefix("--").strip())
        elif lines or not line.strip().startswith("{"):
            break
    return " ".join(lines)


def _from_json(document: Mapping[str, Any]) -> DbtGraph:
    def pair(value: list[str]) -> Key:
        return value[0], value[1]

    return DbtGraph(
        models=tuple(
            DbtModel(
                **{
                    **model,
                    "depends_on": tuple(pair(key) for key in model["depends_on"]),
                    "columns": tuple(tuple(column) for column in model["columns"]),
                }
            )
            for model in document["models"]
        ),
        tests=tuple(DbtTest(**{**test, "model": pair(test["model"])}) for test in document["tests"]),
    )


def _graph_nodes(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] in {"model", "seed", "snapshot"}:
            yield unique_id, node
    yield from manifest["sources"].items()


def _key(node: Mapping[str, Any]) -> Key:
    if node["resource_type"] == "source":
        return node["source_name"], node["name"]
    return _layer(node), node["name"]


def _layer(node: Mapping[str, Any]) -> str:
    """Return the folder under `models/`: staging, intermediate, marts."""
    parts = node["fqn"]
    return parts[1] if len(parts) > 2 else node["resource_type"]


def _tests(manifest: Mapping[str, Any], keys: Mapping[str, Key], models: tuple[DbtModel, ...]) -> Iterator[DbtTest]:
    own = {model.key for model in models}
    depth = _depths(models)
    for _, node in sorted(manifest["nodes"].items()):
        if node["resource_type"] != "test" or not node["config"]["enabled"]:
            continue
        parents = [keys[parent] for parent in node["depends_on"]["nodes"] if keys.get(parent) in own]
        attached = keys.get(node.get("attached_node") or "")
        if attached not in own:
            # A singular test stands on several models: it shows on the one that is built last.
            attached = max(parents, key=lambda key: (depth[key], key), default=None)
        if attached is not None:
            yield DbtTest(
                name=node["name"],
                model=attached,
                severity=node["config"]["severity"].lower(),
                description=node.get("description") or "",
            )


def _depths(models: tuple[DbtModel, ...]) -> dict[Key, int]:
    parents = {model.key: model.depends_on for model in models}
    depths: dict[Key, int] = {}

    def depth(key: Key) -> int:
        if key not in depths:
            depths[key] = 1 + max((depth(parent) for parent in parents.get(key, ())), default=-1)
        return depths[key]

    for key in parents:
        depth(key)
    return depths
