"""Development tokens: good for the home that issued them, and for nothing else."""

import base64
import hmac
import json
import stat
import time

import jwt
import pytest

from api.auth.development import SECRET_FILE, DevelopmentTokens, issue_development_token
from api.auth.guard import require
from api.auth.port import open_authenticator
from ledger_core.actor import Actor
from ledger_core.errors import ConfigurationError, InvalidInput, NotAllowed, Unauthenticated
from ledger_core.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home_path=tmp_path / "home", env="test")


def test_a_token_speaks_for_its_subject_with_its_scopes(settings):
    token = issue_development_token(settings, "billing", ["journal:write", "journal:read"], 60, role="service")
    actor = DevelopmentTokens(settings).authenticate(f"Bearer {token}")
    assert actor == Actor(subject="billing", role="service", scopes=frozenset({"journal:write", "journal:read"}))


def test_the_secret_is_readable_by_its_owner_alone(settings):
    issue_development_token(settings, "billing", ["journal:read"], 60)
    path = settings.home / SECRET_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_secret_that_others_can_read_is_refused(settings):
    issue_development_token(settings, "billing", ["journal:read"], 60)
    (settings.home / SECRET_FILE).chmod(0o644)
    with pytest.raises(ConfigurationError, match="read by others"):
        DevelopmentTokens(settings)


def test_production_neither_issues_nor_accepts(settings, tmp_path):
    production = Settings(home_path=tmp_path / "home", env="production")
    with pytest.raises(ConfigurationError):
        issue_development_token(production, "billing", ["journal:read"], 60)
    with pytest.raises(ConfigurationError):
        open_authenticator(production)


def test_a_scope_that_does_not_exist_is_refused(settings):
    with pytest.raises(InvalidInput, match="journal:rite"):
        issue_development_token(settings, "billing", ["journal:rite"], 60)


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer x.y.z", "Bearer " + "a" * 5000])
def test_what_is_not_our_token_is_nobody(settings, header):
    with pytest.raises(Unauthenticated):
        DevelopmentTokens(settings).authenticate(header)


def test_a_token_of_another_home_is_nobody(settings, tmp_path):
    other = Settings(home_path=tmp_path / "other", env="test")
    token = issue_development_token(other, "billing", ["journal:read"], 60)
    with pytest.raises(Unauthenticated):
        DevelopmentTokens(settings).authenticate(f"Bearer {token}")


def _forged(settings, **changes):
    accept = DevelopmentTokens(settings)
    secret = (settings.home / SECRET_FILE).read_bytes()
    now = int(time.time())
    claims = {
        "iss": "counterfoil-development",
        "aud": f"{settings.ledger.domain}/{settings.env}",
        "sub": "billing",
        "scope": "journal:read",
        "iat": now,
        "exp": now + 60,
        **changes,
    }
    return accept, secret, {name: value for name, value in claims.items() if value is not None}


@pytest.mark.parametrize("changes", [{"exp": 1}, {"exp": None}, {"aud": "elsewhere"}, {"iss": "me"}, {"sub": None}])
def test_a_token_whose_claims_do_not_hold_is_nobody(settings, changes):
    accept, secret, claims = _forged(settings, **changes)
    with pytest.raises(Unauthenticated):
        accept.authenticate(f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}")


ODD = ("", " ", "\u200b", "a\nb", [], ["x"], {}, {"a": 1}, 0, 1, -1, 1.5, True, 10**400, "9" * 400, "NaN", "\ud800")


@pytest.mark.parametrize("claim", ["sub", "exp", "iat", "nbf", "iss", "aud", "role", "scope"])
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_a_claim_of_an_odd_type_or_size_is_nobody_and_never_an_error_of_ours(settings, claim, value):
    accept, secret, claims = _forged(settings)
    text = isinstance(value, str) and value.isprintable()
    allowed = {
        "sub": text and value.strip(),
        "role": text and value.strip(),
        "scope": text,
        "iat": type(value) is int and 0 <= value < 10,
        "nbf": isinstance(value, (int, float)) and value < 10,
    }.get(claim, False)
    token = sign({**claims, claim: value}, secret)
    if allowed:
        accept.authenticate(f"Bearer {token}")
    else:
        with pytest.raises(Unauthenticated):
            accept.authenticate(f"Bearer {token}")


NO_CLAIMS = ('{"exp":1e999}', '{"exp":-1e999}', '{"exp":NaN}', "[" * 2900, '"x"', "[]", "", '{"exp":' + "9" * 500 + "}")


@pytest.mark.parametrize("text", NO_CLAIMS, ids=lambda text: text[:12])
def test_a_payload_that_is_no_set_of_claims_is_nobody(settings, text):
    accept, secret, claims = _forged(settings)
    members = json.dumps({name: value for name, value in claims.items() if name != "exp"})
    merged = members[:-1] + "," + text[1:] if text.startswith('{"') else text
    token = sign_text(merged, secret)
    with pytest.raises(Unauthenticated):
        accept.authenticate(f"Bearer {token}")


def sign(claims, secret):
    return sign_text(json.dumps(claims), secret)


def sign_text(text, secret):
    """Sign what no library of ours would write."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256","typ":"JWT"}', text.encode())]
    signed = b".".join(parts)
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + mac).decode()


def test_a_token_may_not_choose_its_algorithm(settings):
    accept, secret, claims = _forged(settings)
    for token in (jwt.encode(claims, None, algorithm="none"), jwt.encode(claims, secret, algorithm="HS512")):
        with pytest.raises(Unauthenticated):
            accept.authenticate(f"Bearer {token}")


def test_a_remembered_token_still_expires(settings):
    now = [time.time()]
    accept = DevelopmentTokens(settings, clock=lambda: now[0])
    token = issue_development_token(settings, "billing", ["journal:read"], 60)
    accept.authenticate(f"Bearer {token}")
    now[0] += 61
    with pytest.raises(Unauthenticated, match="expired"):
        accept.authenticate(f"Bearer {token}")


def test_a_caller_without_the_scope_is_told_which_one_it_lacks():
    with pytest.raises(NotAllowed, match="journal:write"):
        require(Actor(subject="billing", scopes=frozenset({"journal:read"})), "journal:write")
