"""Development tokens: signed with a secret that lies in the home folder, so good for one machine and no further.

Not an identity provider. Refused by `COUNTERFOIL_ENV=production`, both to issue and to accept. The algorithm is fixed
to HS256 and never taken from a token.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jwt

from api.auth.scopes import SCOPES
from ledger_core.actor import Actor
from ledger_core.errors import ConfigurationError, InvalidInput, Unauthenticated
from ledger_core.settings import Settings

ALL_SCOPES = frozenset(SCOPES)
SECRET_FILE = Path("api") / "development-token.secret"
MAX_TTL_SECONDS = 30 * 24 * 3600
MAX_TOKEN_CHARACTERS = 4096
MAX_TIME = 253_402_300_799
"""The last second of the year 9999."""
_ALGORITHM = "HS256"
_ISSUER = "counterfoil-development"
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The one spelling of a token. A decoder of base64 skips strangers' characters and the last two bits of a signature."""
_REMEDY = "Get one by `counterfoil token --scope ...` and send it as `Authorization: Bearer ...`."
_MAX_REMEMBERED = 1024
"""Tokens whose signature was checked before. Checking one costs about 40 us, a tenth of a whole post."""


def issue_development_token(
    settings: Settings, subject: str, scopes: Iterable[str], ttl_seconds: int, *, role: str = "service"
) -> str:
    """Return a token for `subject`, made with the home's secret, which the first call creates.

    Raises `ConfigurationError` in production and `InvalidInput` for a scope that does not exist or a lifetime that is
    not between one second and 30 days.
    """
    _refuse_production(settings)
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown:
        raise InvalidInput(f"there is no scope {', '.join(unknown)}.", remedy=f"The scopes are {', '.join(SCOPES)}.")
    if not subject.strip() or not role.strip():
        raise InvalidInput("a token needs a subject and a role.")
    if not 1 <= ttl_seconds <= MAX_TTL_SECONDS:
        raise InvalidInput(f"a token lives between 1 and {MAX_TTL_SECONDS} seconds, not {ttl_seconds}.")
    now = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": _audience(settings),
        "sub": subject,
        "role": role,
        "scope": " ".join(wanted),
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_hex(8),
    }
    return jwt.encode(claims, _secret(settings), algorithm=_ALGORITHM)


class DevelopmentTokens:
    """Accept what `issue_development_token` issued for the same home, domain and environment."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        _refuse_production(settings)
        self._clock = clock
        self._secret = _secret(settings)
        self._audience = _audience(settings)
        self._remembered: dict[str, tuple[float, Actor]] = {}

    def announcement(self) -> str:
        return (
            "Development tokens are accepted: whoever can read "
            f"$COUNTERFOIL_HOME/{SECRET_FILE.as_posix()} can call with any scope. Never so in production."
        )

    def authenticate(self, authorization: str | None) -> Actor:
        if not authorization:
            raise Unauthenticated("The request carries no token.", remedy=_REMEDY)
        # Blanks around a header's value are none of it (RFC 9110, 5.5), and the server leaves those at its end.
        scheme, _, token = authorization.strip(" \t").partition(" ")
        token = token.lstrip(" ")
        if scheme.lower() != "bearer" or len(token) > MAX_TOKEN_CHARACTERS or _TOKEN.fullmatch(token) is None:
            raise Unauthenticated("The Authorization header is not a bearer token.", remedy=_REMEDY)
        remembered = self._remembered.get(token)
        if remembered is not None and self._clock() < remembered[0]:
            return remembered[1]
        return self._check(token)

    def _check(self, token: str) -> Actor:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=self._audience,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired.", remedy=_REMEDY) from error
        # A claim of an odd type or size fails wherever the library first reckons with it.
        except (jwt.InvalidTokenError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise _not_ours() from error
        expires_at, actor = _read_claims(claims)
        if self._clock() >= expires_at:
            raise Unauthenticated("The token has expired.", remedy=_REMEDY)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[token] = (expires_at, actor)
        return actor


def _read_claims(claims: dict[str, Any]) -> tuple[int, Actor]:
    """Return when the token ends and for whom it speaks. Raises `Unauthenticated` for claims that we never issue."""
    times = [claims.get(name) for name in ("exp", "iat")]
    words = [claims.get("sub"), claims.get("role", "service"), claims.get("scope", "")]
    if not all(type(value) is int and 0 <= value <= MAX_TIME for value in times):
        raise _not_ours()
    if not all(isinstance(value, str) and value.isprintable() for value in words):
        raise _not_ours()
    subject, role, scope = (str(value) for value in words)
    if not subject.strip() or not role.strip():
        raise _not_ours()
    return int(claims["exp"]), Actor(subject=subject, role=role, scopes=frozenset(scope.split()))


def _not_ours() -> Unauthenticated:
    return Unauthenticated("The token is not one that this installation issued.", remedy=_REMEDY)


def _audience(settings: Settings) -> str:
    return f"{settings.ledger.domain}/{settings.env}"


def _refuse_production(settings: Settings) -> None:
    if settings.strict:
        raise ConfigurationError(
            f"development tokens are refused by COUNTERFOIL_ENV={settings.env}.",
            remedy="Use the tokens of the identity provider.",
        )


def _secret(settings: Settings) -> bytes:
    """Return the home's secret; the first caller makes it, readable by its owner alone."""
    path = settings.home / SECRET_FILE
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
        try:
            os.link(made, path)  # refuses to replace: of two that start at once, one secret wins
        except FileExistsError:
            pass
        finally:
            made.unlink()
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"{SECRET_FILE.as_posix()} in the home folder can be read by others.",
            remedy="chmod 600 it, or remove it so that a new one is made (issued tokens end with it).",
        )
    return path.read_bytes()
