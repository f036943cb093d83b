"""What the holder of a root key runs: make a root, look at a draft, sign it. Needs no home, no database, no network.

    python -m ledger_core.ceremony.offline make-root ROOT.pem
    python -m ledger_core.ceremony.offline sign --key ROOT.pem --draft DRAFT --out SIGNATURE

A signature is a DSSE envelope over the draft: `merge` puts those of several holders together. What is signed is a
registry document in its one canonical form and nothing else, and it is shown to whoever signs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from ledger_core.base.files import unusable, write_once
from ledger_core.errors import ConfigurationError, CounterfoilError, InvalidInput
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.note import PublicKey
from ledger_core.log.reading import read_bounded, why_unread
from ledger_core.log.registry import ACTIVE, COMPROMISED, RETIRED, REVOKED, Registry, parse_registry
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.backends import software
from ledger_core.signing.open import BACKENDS, choose_backend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.takeover import in_hand

MAX_DRAFT_BYTES = 16 * 1024 * 1024
MAX_KEY_BYTES = 64 * 1024
STATUSES = (ACTIVE, RETIRED, REVOKED, COMPROMISED)


def make_root(path: Path) -> PublicKey:
    """Make a root key at `path`, for its owner alone, and its public half beside it as `<path>.pub`.

    Raises `ConfigurationError` where there is a file: a root is never written over.
    """
    if path.exists():
        raise ConfigurationError("there is a file already.", file=str(path), remedy="Name another one.")
    key = software.load_or_create(path).public_key
    public = load_der_public_key(key.spki)
    write_once(
        path.with_name(f"{path.name}.pub"),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        mode=0o644,
    )
    return key


def read_public(path: Path) -> PublicKey:
    """Return the public key in a PEM or DER file. Raises `InvalidInput`."""
    data = _read(path, MAX_KEY_BYTES)
    try:
        key = load_pem_public_key(data) if data.lstrip().startswith(b"-----") else load_der_public_key(data)
        return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except ValueError as error:
        raise InvalidInput(
            f"no public key in it: {error}.", file=str(path), remedy="Give what `keys make-root` wrote as .pub."
        ) from error


def open_root(key: str) -> SigningBackend:
    """Return the root key in the file `key`, or in the back-end of that name as the environment configures it.

    Raises `ConfigurationError`.
    """
    path = Path(key)
    if path.is_file():
        return software.load(path)
    if key in BACKENDS and key != software.NAME:
        settings = load_signer_settings(backend=key)
        return choose_backend(settings).open_key(settings, Path.cwd())
    others = ", ".join(sorted(set(BACKENDS) - {software.NAME}))
    raise ConfigurationError(
        f"there is no key {key!r:.200}.", remedy=f"Give a key's file{f', or one of {others}' if others else ''}."
    )


def sign_draft(draft: bytes, root: SigningBackend) -> Envelope:
    """Return the draft signed by `root`. Raises `InvalidInput` for what is no registry document."""
    _parse_draft(draft)
    signature = root.sign(pae(KEYS_TYPE, draft))
    if not root.public_key.verify(pae(KEYS_TYPE, draft), signature):
        raise ConfigurationError("the key does not verify its own signature.", remedy="Check where it is kept.")
    return Envelope(KEYS_TYPE, draft, (EnvelopeSignature(root.public_key.key_id, signature),))


def read_draft(path: Path) -> bytes:
    """Return the draft in the file. Raises `InvalidInput`."""
    data = _read(path, MAX_DRAFT_BYTES)
    try:
        _parse_draft(data)
    except InvalidInput as error:
        raise InvalidInput(f"no draft of a key registry: {error.message}", file=str(path)) from error
    return data


def merge(files: Sequence[Path]) -> Envelope:
    """Return the one document that all of `files` signed, with all their signatures, each key's once.

    Raises `InvalidInput` where one is no signed document, or of another one.
    """
    envelopes: list[Envelope] = []
    for path in files:
        try:
            found = parse_envelope(_read(path, MAX_DRAFT_BYTES * 2))
        except InvalidInput as error:
            raise InvalidInput(f"no signature of a draft: {error.message}", file=str(path)) from error
        if found.payload_type != KEYS_TYPE or (envelopes and found.payload != envelopes[0].payload):
            raise InvalidInput("it signs something else than the others.", file=str(path), remedy="Give one draft's.")
        envelopes.append(found)
    if not envelopes:
        raise InvalidInput("no signature is given.", remedy="Give the files that `keys sign-root` wrote.")
    parse_registry(envelopes[0].payload)
    return Envelope(KEYS_TYPE, envelopes[0].payload, tuple(_once(item for one in envelopes for item in one.signatures)))


def lines_of(document: Registry) -> list[str]:
    """Return what a root's holder should read before signing; nothing in it moves the cursor of a terminal."""
    lines = [
        f"key registry version {document.version}, made {document.created_at}",
        f"  follows the version with sha256 {document.previous}",
        f"  {document.threshold} of {len(document.roots)} roots sign the version after it:",
        *(f"    root {root.key_id}" for root in document.roots),
    ]
    for item in document.keys:
        lines.append(f"  key {item.key.key_id} {item.status} ({item.backend}, {item.assurance})")
        lines.append(f"    signs {', '.join(item.purposes) or 'nothing'}")
        for part in item.valid:
            end = "on" if part.to_size is None else f"to {part.to_size:,}"
            tree = "" if part.root is None else f", only in the tree with root {part.root.hex()}"
            lines.append(f"    {part.origin}: from size {part.from_size:,} {end}{tree}")
    return [_shown(line) for line in lines]


def refuse_private(path: Path) -> None:
    """Raise `ConfigurationError` where a private key lies in the file `path`, over which nothing is ever written, and
    for a folder."""
    if path.is_dir():
        raise ConfigurationError("it is a folder.", file=str(path), remedy="Name a file.")
    if not path.is_file():
        return
    with path.open("rb") as file:  # what cannot be read is not written over either
        data = file.read(MAX_KEY_BYTES)
    if b"PRIVATE KEY" in data:
        raise ConfigurationError(
            "it holds a private key, which would be written over.", file=str(path), remedy="Name another file."
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.ceremony.offline", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make-root", help="make a root key and its .pub")
    made.add_argument("out", type=Path)
    signs = commands.add_parser("sign", help="sign a draft")
    signs.add_argument("--key", required=True, help="the root's file, or the back-end that holds it")
    signs.add_argument("--draft", type=Path, required=True)
    signs.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.command == "make-root":
            sys.stdout.write(f"root {make_root(options.out).key_id}\n")
        else:
            sign_file(options.key, options.draft, options.out)
    except (CounterfoilError, OSError) as error:
        told = error if isinstance(error, CounterfoilError) else unusable(error)
        sys.stderr.write(f"{told}\n")
        return 2
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def sign_file(key: str, draft: Path, out: Path, *, show: Callable[[str], None] = _say) -> None:
    """Sign the draft in a file into another; `show` is given, line by line and first, what is signed and by whom.

    Raises `ConfigurationError` for an `out` that holds the root or the draft.
    """
    data = read_draft(draft)
    refuse_private(out)
    if out.exists() and any(Path(name).exists() and out.samefile(name) for name in (key, draft)):
        raise ConfigurationError("the signature would be written over it.", file=str(out), remedy="Name another file.")
    document = parse_registry(data)
    with in_hand(open_root(key)) as root:
        key_id = root.public_key.key_id
        stays = key_id in {item.key_id for item in document.roots}
        role = (
            "one of its roots" if stays else "none of its roots: it counts as one of the version before, if it is one"
        )
        said = (f"draft with sha256 {sha256(data).hexdigest()}", *lines_of(document), f"signed by {key_id}, {role}")
        for line in said:
            show(line)
        signature = sign_draft(data, root)
    write_once(out, signature.to_bytes() + b"\n", mode=0o644)
    show(f"signature in {out}")


def _parse_draft(data: bytes) -> Registry:
    document = parse_registry(data)
    strange = [item.status for item in document.keys if item.status not in STATUSES]
    if strange:
        raise InvalidInput(
            f"a key is {_shown(strange[0]):.40}, which is no status of a key.",
            pointer="/keys",
            remedy=f"One is {', '.join(STATUSES)}.",
        )
    return document


def _shown(text: str) -> str:
    """Return `text` on one line, with what a terminal would obey, or would turn around, written as its number."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _once(signatures: Iterable[EnvelopeSignature]) -> list[EnvelopeSignature]:
    found: dict[tuple[str, bytes], EnvelopeSignature] = {}
    for item in signatures:
        found.setdefault((item.key_id, item.signature), item)
    return list(found.values())


def _read(path: Path, limit: int) -> bytes:
    data = read_bounded(path, limit)
    if data is None:
        raise InvalidInput(f"{why_unread(path, limit)}.", file=str(path), remedy="Is it the right file?")
    return data


if __name__ == "__main__":
    sys.exit(main())
