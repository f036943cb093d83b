"""Build `counterfoil-verify.pyz`, the auditors' verifier in one file: `python -m ledger_core.log.build_verifier OUT`.

It holds this package and the error tree, nothing else, and is the same file byte for byte whenever the sources are,
so that its hash can be published. It needs Python 3.11 and `cryptography` where it runs.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

from ledger_core.log.software import BUILT, software_version

_MAIN = b"import sys\n\nfrom ledger_core.log.__main__ import main\n\nsys.exit(main())\n"
_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build(out: Path) -> str:
    """Write the archive to `out`; return its hex SHA-256."""
    room = Path(__file__).resolve().parent
    sources = {f"ledger_core/log/{path.name}": path.read_bytes() for path in room.glob("*.py")}
    del sources["ledger_core/log/build_verifier.py"]
    sources["ledger_core/__init__.py"] = (room.parent / "__init__.py").read_bytes()
    sources["ledger_core/errors.py"] = (room.parent / "errors.py").read_bytes()
    sources[BUILT.replace(".", "/") + ".py"] = f'VERSION = "{software_version()}"\n'.encode()
    sources["__main__.py"] = _MAIN
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(sources.items()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
    out.chmod(0o755)
    return sha256(out.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Build the file that the argument names."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.log.build_verifier")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args(arguments)
    print(f"{build(options.out)}  {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
