"""Every error becomes one shape, with a status that says whose fault it is."""

import pytest

from api.http.problem_codes import TITLES
from api.http.problems import document_of, status_of
from ledger_core import errors


def _all_errors(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _all_errors(child)


def _make(kind):
    if issubclass(kind, errors.DuplicateExternalId):
        return kind("taken.", entry_id="e-1", identical=True)
    if issubclass(kind, errors.DeliveryRefused):
        return kind("refused.", reason="signature")
    if issubclass(kind, errors.SignerMovedOn):
        return kind("moved on.", latest="note")
    return kind("wrong.")


@pytest.mark.parametrize("kind", sorted(set(_all_errors(errors.CounterfoilError)), key=lambda kind: kind.__name__))
def test_only_broken_integrity_is_a_500(kind):
    status = status_of(_make(kind))
    # One of the two memories went back in time: the book waits for an operator, and says so by name.
    waits = issubclass(kind, (errors.LedgerBehind, errors.SignerBehind))
    assert (status == 500) == (issubclass(kind, errors.IntegrityError) and not waits)
    assert status == 503 or not waits


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthenticated("who?"), 401),
        (errors.NotAllowed("no."), 403),
        (errors.NotFound("none."), 404),
        (errors.Erased("gone."), 410),
        (errors.KeyNotOpened("another's."), 500),
        (errors.InFlight("wait."), 409),
        (errors.AlreadyReversed("was."), 409),
        (errors.PreconditionFailed("stale."), 412),
        (errors.UnbalancedEntry("off."), 422),
        (errors.KeyReused("other body."), 422),
        (errors.InvalidInput("bad."), 422),
        (errors.TooManyRequests("full."), 429),
        (errors.SignatureLate("late."), 503),
    ],
)
def test_each_outcome_has_the_status_that_the_documentation_names(error, status):
    assert status_of(error) == status


def test_a_pointer_becomes_a_place():
    problem = document_of(errors.UnbalancedEntry("debits exceed.", pointer="/postings", remedy="Balance it."))
    assert problem["errors"] == [{"pointer": "/postings", "detail": "debits exceed."}]
    assert problem["type"] == "/problems/unbalanced_entry"
    assert problem["remedy"] == "Balance it."


def test_a_taken_external_id_names_the_entry_that_holds_it():
    problem = document_of(errors.DuplicateExternalId("taken.", entry_id="e-1", identical=True))
    assert (problem["entry_id"], problem["identical"]) == ("e-1", True)


def test_context_that_json_cannot_hold_stays_inside():
    problem = document_of(errors.Refused("no.", seq=7, secret=object()))
    assert problem["seq"] == 7
    assert "secret" not in problem


def test_every_code_that_a_caller_can_meet_has_a_title():
    inside = {"cannot_run", "configuration", "refused", "signer_moved_on"}
    # Tests of kinds that rooms bring have errors of their own, which live as long as this process.
    ours = {kind for kind in _all_errors(errors.CounterfoilError) if not kind.__module__.startswith("test")}
    met = {kind.code for kind in ours} - inside
    from_elsewhere = {code for code in met if code not in TITLES}
    assert not from_elsewhere
