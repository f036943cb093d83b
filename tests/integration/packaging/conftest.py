"""The wheel as it is delivered, in environments that hold it and what it asks for, at the lock's versions alone.

uv installs from its cache, which setting this checkout up has filled, and asks the index only for what was cleared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
UV = (sys.executable, "-m", "uv", "--quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A virtual environment with our wheel in it, used from `folder`, where nothing of the checkout is in sight."""

    venv: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COUNTERFOIL_", "DATABASE_", "PYTHON", "VIRTUAL_ENV"))
        }
        return {**kept, "COUNTERFOIL_ENV": "test", "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def run(self, *words: str | Path, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end, whatever that is."""
        program, *arguments = map(str, words)
        return subprocess.run(
            [str(self.venv / "bin" / program), *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )

    def python(self, script: str) -> str:
        """Return what `script` prints; it must end well, and what it imports of ours must come from the wheel."""
        finished = self.run("python", "-W", "error", "-c", f"{script}\n{_PROOF}")
        assert finished.returncode == 0, finished.stderr
        *lines, places = finished.stdout.splitlines()
        assert places, "nothing of ours was imported"
        for place in places.split(os.pathsep):
            assert Path(place).is_relative_to(self.venv / "lib"), place
        return "\n".join(lines)

    def has(self, *modules: str) -> set[str]:
        """Return which of the top-level `modules` can be imported."""
        script = f"from importlib.util import find_spec; print(*(n for n in {modules!r} if find_spec(n)))"
        return set(self.run("python", "-c", script).stdout.split())


_PROOF = """
import os, sys
ours = "ledger_core ingest sample payments reconciliation expectations orchestration api cli".split()
print(os.pathsep.join(m.__file__ for n, m in sorted(sys.modules.items()) if n in ours and m.__file__))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Make the environment of one extra ('' for the base alone), once a session."""
    made: dict[str, Environment] = {}

    def make(extra: str) -> Environment:
        if extra not in made:
            folder = tmp_path_factory.mktemp(extra or "base")
            made[extra] = _install(wheel, extra, folder)
        return made[extra]

    return make


@pytest.fixture(scope="session")
def closure(wheel: Path) -> Callable[[str], set[str]]:
    """Name the distributions that an extra needs on this machine."""
    return lambda extra: _closure(wheel, extra)


def _install(wheel: Path, extra: str, folder: Path) -> Environment:
    venv, requirements, empty = folder / "venv", folder / "requirements.txt", folder / "empty"
    empty.mkdir()
    requirements.write_text("".join(_locked(_closure(wheel, extra))))
    python = venv / "bin" / "python"
    _uv("venv", "--python", sys.executable, str(venv))
    _uv("pip", "sync", "--python", str(python), "--require-hashes", "--allow-empty-requirements", str(requirements))
    _share_bytecode(venv)
    _uv("pip", "install", "--python", str(python), "--no-deps", str(wheel))
    _uv("pip", "check", "--python", str(python))
    return Environment(venv=venv, folder=empty)


def _share_bytecode(venv: Path) -> None:
    """Give what others wrote the bytecode that this interpreter has of the same files: compiling it took 20 s a demo.

    Python itself refuses it for a file of another size or time; what is ours is compiled there, from the wheel.
    """
    ours, theirs = Path(sysconfig.get_path("purelib")), next((venv / "lib").glob("python3*")) / "site-packages"
    for compiled in ours.glob("*/**/__pycache__"):
        beside = theirs / compiled.relative_to(ours)
        if beside.parent.is_dir() and not beside.exists():
            shutil.copytree(compiled, beside)


def _uv(*words: str) -> None:
    if subprocess.run([*UV, "--offline", *words], cwd=ROOT, capture_output=True).returncode != 0:
        subprocess.run([*UV, *words], cwd=ROOT, check=True)


def _closure(wheel: Path, extra: str) -> set[str]:
    """Return the distributions that `counterfoil[extra]` needs, by the metadata of the wheel and of what we run on."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        ours = HeaderParser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    found: set[tuple[str, str]] = set()
    waiting = [("counterfoil", extra)]
    while waiting:
        name, asked = waiting.pop()
        if (name, asked) in found:
            continue
        found.add((name, asked))
        lines = ours if name == "counterfoil" else distribution(name).requires or []
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": asked}):
                needed = canonicalize_name(requirement.name)
                waiting += [(needed, more) for more in ("", *sorted(requirement.extras))]
    return {name for name, _ in found} - {"counterfoil"}


def _locked(names: set[str]) -> Iterator[str]:
    """Yield the entries of the lock for `names`, with their hashes; each must be there."""
    missing = set(names)
    wanted = False
    for line in (ROOT / "requirements.lock").read_text().splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = canonicalize_name(line.partition("==")[0])
            wanted = name in names
            missing.discard(name)
        if wanted:
            yield line
    assert not missing, f"the lock lacks {sorted(missing)}"
