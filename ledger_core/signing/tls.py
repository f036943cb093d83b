"""Mutual TLS between the proxy and those who have it sign: both ends' settings, and who a certificate says one is.

TLS 1.3 and nothing older, a certificate from both ends, each of an authority that was named; the system's authorities
count for nothing. Files are looked at whenever a connection is opened, so that certificates which live for hours are
replaced without a restart. Not what a client may do, which is `signing.clients`. Invariant: a certificate has one
name or none.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger_core.errors import ConfigurationError

MAX_NAME_CHARACTERS = 2048
"""Of a SPIFFE id, as its standard bounds it."""
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of one end: its certificate (with those between it and its authority), its key, who vouches for others.

    `authority` holds the certificates of the authorities that sign those of the other end.
    """

    certificate: Path
    key: Path
    authority: Path

    def absolute(self) -> TlsFiles:
        """Return the same files by their whole paths."""
        return TlsFiles(
            certificate=self.certificate.absolute(), key=self.key.absolute(), authority=self.authority.absolute()
        )

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when one of the files does."""
        found = (path.stat() for path in (self.certificate, self.key, self.authority))
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


class TlsContext:
    """The context of new connections, made again when a file has changed. Safe for threads."""

    def __init__(self, files: TlsFiles, *, server: bool, on_stale: Callable[[str], None] = lambda _line: None) -> None:
        """Read the files. Raises `ConfigurationError` where they cannot be used."""
        self._files, self._server, self._on_stale = files, server, on_stale
        self._guard = threading.Lock()
        self._context, self._stamp = self._make()

    def current(self) -> ssl.SSLContext:
        """Return the context. Files that are being written, or gone, leave the last that could be used."""
        with self._guard:
            try:
                if self._files.stamp() != self._stamp:
                    self._context, self._stamp = self._make()
            except (OSError, ConfigurationError) as error:
                self._on_stale(f"the certificates read before are used still: {error}")
            return self._context

    def _make(self) -> tuple[ssl.SSLContext, tuple[tuple[int, int, int], ...]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self._server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if self._server:
            # A session that is taken up again brings no certificate with it.
            context.num_tickets = 0
        files, remedy = self._files, "Name PEM files: a certificate, its key without a password, the other's authority."
        try:
            # Before the files: one that changes meanwhile is read again.
            stamp = files.stamp()
            _refuse_open_key(files.key)
            context.load_verify_locations(cafile=files.authority)
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
        except OSError as error:  # of `ssl` too
            raise ConfigurationError(
                f"the certificates for the signing proxy cannot be used: {error}.",
                file=str(files.certificate),
                remedy=remedy,
            ) from error
        return context, stamp


def identity_of(certificate: Mapping[str, Any]) -> str | None:
    """Return the one name in `certificate` (as `getpeercert` says it): its URI, or its DNS name when it has no URI.

    None for two of a sort: a client that has two names could be taken for either. The common name says nothing.
    """
    names = certificate.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    found = uris or [value for kind, value in names if kind == "DNS"]
    if len(found) != 1 or len(found[0]) > MAX_NAME_CHARACTERS:
        return None
    return found[0] if is_identity(found[0]) and ("://" in found[0]) == bool(uris) else None


def is_identity(text: str) -> bool:
    """Say whether `text` can be a client's name: a URI with its scheme, or a DNS name in lower case."""
    return bool(_URI.match(text) or _DNS_NAME.match(text))


def ends_at(certificate: Mapping[str, Any]) -> float:
    """Return when `certificate` ends, in seconds since 1970."""
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _refuse_open_key(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & 0o007:
        raise ConfigurationError(
            f"the TLS key has mode {mode & 0o777:04o}.", file=str(path), remedy="chmod 400 it; its group may read it."
        )


def _no_password() -> str:
    # The library would ask for one at a terminal.
    return ""
