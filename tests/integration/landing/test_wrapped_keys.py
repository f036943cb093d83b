"""The keys of landed files: wrapped on the way in, wrapped anew at any time, gone for good once they are dropped."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from ingest.landing import file_keys
from ingest.landing.stored_bytes import read_stored
from ledger_core.base.encryption import decrypt
from ledger_core.base.wrapping.file import FileWrapper
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.errors import (
    ConfigurationError,
    CounterfoilError,
    DependencyError,
    Erased,
    NotFound,
)
from ledger_core.settings import Settings
from ledger_core.settings.rooms import FileKeysSettings
from tests.integration.landing.keepers import Counted, away, contents, counted, drop, land_some, make_plain, rows

pytestmark = pytest.mark.integration


def test_what_lies_in_the_database_opens_the_bytes_by_the_key_in_the_home_alone(landing, tmp_path):
    [(file_id, content)] = land_some(landing, tmp_path, 1).items()
    row = rows(landing)[file_id]
    assert (row["key"], row["backend"], row["key_version"]) == (None, "file", "1")
    outer = bytes.fromhex((landing.settings.home / "wrapping" / "0001.key").read_text())
    bound = f'{{"counterfoil":"raw-file","file_id":"{file_id}"}}'.encode()
    key = AESGCM(outer).decrypt(row["wrapped"][:12], row["wrapped"][12:], bound)
    [name] = landing.raw_store.list()
    with landing.raw_store.open(name) as source:
        assert b"".join(decrypt(source, key=key, file_id=str(file_id))) == content


def test_a_file_costs_one_wrap_and_reading_it_one_more_call(landing, tmp_path):
    wrapper = counted(landing)
    files = land_some(landing, tmp_path, 5)
    assert (wrapper.wraps, wrapper.unwraps) == (5, 0)
    assert contents(landing, files) == files
    assert (wrapper.wraps, wrapper.unwraps) == (5, 5), "and nothing is remembered"
    contents(landing, files)
    assert wrapper.unwraps == 10
    landing.land(*sorted(tmp_path.glob("*.csv")))
    assert wrapper.wraps == 5, "what landed before is not wrapped again"


def test_a_landing_whose_key_cannot_be_wrapped_leaves_nothing_and_is_run_again(landing, tmp_path):
    paths = [landing.report(tmp_path / f"{number}.csv", start=number * 10) for number in range(3)]
    wrapper = counted(landing, fails_at=2, error=away("sealed"))
    with pytest.raises(DependencyError) as refused:
        landing.land(*paths)
    assert refused.value.context["reason"] == "sealed"
    assert landing.counts()["raw.files"] == landing.counts()["ops.file_keys"] == 1, "the first, which was whole"
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 3
    assert len(list(landing.raw_store.list())) == 1
    assert list((landing.settings.home / "incoming").iterdir()) == []
    wrapper.fails_at = 0
    assert [file.status for file in landing.land(*paths)] == ["already_landed", "landed", "landed"]


def test_a_key_file_that_others_may_read_lands_nothing(landing, tmp_path):
    land_some(landing, tmp_path, 1)
    (landing.settings.home / "wrapping" / "0001.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="0644"):
        landing.land(landing.report(tmp_path / "late.csv", start=500))
    assert landing.counts()["raw.files"] == 1


def test_a_dropped_key_is_gone_with_its_transaction_and_dropping_it_again_does_nothing(landing, tmp_path):
    files = land_some(landing, tmp_path, 2)
    gone, kept = files
    with landing.engine.connect() as connection:
        assert drop(connection, gone)
        connection.rollback()
    assert contents(landing, files) == files
    for expected in (True, False, False):
        with landing.engine.begin() as connection:
            assert drop(connection, gone) is expected
    with pytest.raises(Erased, match="its key was dropped") as erased:
        list(read_stored(landing, gone))
    assert (erased.value.code, str(gone) in str(erased.value)) == ("erased", True)
    assert contents(landing, [kept]) == {kept: files[kept]}
    with pytest.raises(NotFound) as unknown:
        list(read_stored(landing, uuid4()))
    assert not isinstance(unknown.value, Erased)
    with landing.engine.begin() as connection:
        assert not drop(connection, uuid4())
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 6, "the rows stand"


def test_the_same_file_after_its_erasure_says_so_and_brings_nothing_back(landing, tmp_path):
    files = land_some(landing, tmp_path, 1)
    [gone] = files
    with landing.engine.begin() as connection:
        drop(connection, gone)
    objects = list(landing.raw_store.list())
    [again] = landing.land(tmp_path / "0.csv")
    assert (again.status, again.file_id) == ("already_landed", gone)
    assert any("were erased since, and were not stored again" in warning for warning in again.warnings)
    assert list(landing.raw_store.list()) == objects
    assert rows(landing) == {}
    with pytest.raises(Erased):
        list(read_stored(landing, gone))


@pytest.mark.parametrize(
    "told",
    [{"interval": (date(2026, 10, 1), date(2026, 10, 1))}, {"account": "acct_2"}, {"book": "two"}],
    ids=["interval", "account", "book"],
)
def test_the_same_bytes_as_another_document_land_and_say_that_they_come_back(landing, tmp_path, told):
    [gone] = land_some(landing, tmp_path, 1)
    with landing.engine.begin() as connection:
        drop(connection, gone)
    [again] = landing.land(tmp_path / "0.csv", **told)
    assert again.status == "landed"
    [said] = [warning for warning in again.warnings if "were erased" in warning]
    assert str(gone) in said
    [kept] = landing.rows(f"select warnings from raw.files where file_id = '{again.file_id}'")
    assert said in kept["warnings"]
    [other] = landing.land(landing.report(tmp_path / "other.csv", start=900))
    assert not any("erased" in warning for warning in other.warnings)


def test_what_an_older_release_left_in_plain_is_wrapped_by_the_next_landing_and_not_before(landing, tmp_path):
    files = land_some(landing, tmp_path, 7)
    keys = make_plain(landing, list(files)[:6])
    landing.land(landing.report(tmp_path / "late.csv", start=500))
    assert all(row["key"] is None and row["wrapped"] for row in rows(landing).values())
    assert {file_id: file_keys.open_key(landing, file_id) for file_id in keys} == keys
    assert contents(landing, files) == files


def test_wrapping_what_is_plain_may_be_cut_off_anywhere_and_goes_on(landing, tmp_path, monkeypatch):
    monkeypatch.setattr(file_keys, "BATCH_KEYS", 2)
    files = land_some(landing, tmp_path, 7)
    keys = make_plain(landing, files)
    plain = [7]
    for error, fails_at in ((KeyboardInterrupt(), 4), (away(), 1), (away(), 3)):
        counted(landing, fails_at=fails_at, error=error)
        with pytest.raises(type(error)):
            landing.land(landing.report(tmp_path / "late.csv", start=500))
        plain.append(sum(row["key"] is not None for row in rows(landing).values()))
        assert landing.counts()["raw.files"] == 7, "nothing lands before"
    assert plain == [7, 5, 5, 3], "batches that were whole stay done"
    counted(landing)
    assert file_keys.wrap_plain(landing) == 3
    assert file_keys.wrap_plain(landing) == 0
    assert {file_id: file_keys.open_key(landing, file_id) for file_id in keys} == keys


def test_a_reader_wraps_what_is_plain_and_in_production_refuses_it_with_a_remedy(landing, tmp_path):
    files = land_some(landing, tmp_path, 2)
    make_plain(landing, files)
    loose = landing.settings
    for env in ("staging", "production"):
        landing.settings = Settings(home_path=loose.home, env=env, file_keys=FileKeysSettings(backend="vault"))
        with pytest.raises(ConfigurationError, match=r"lies in plain.*file-keys rewrap"):
            list(read_stored(landing, next(iter(files))))
        assert all(row["key"] for row in rows(landing).values())
    landing.settings = loose
    assert contents(landing, files) == files
    assert not any(row["key"] for row in rows(landing).values())


@pytest.mark.parametrize(
    "values",
    [
        "null, null, null, null, null",
        "decode(repeat('00', 32), 'hex'), 'file', 'k', '1', 'x'",
        "null, 'file', 'k', '1', null",
        "null, null, 'k', '1', 'x'",
        "null, 'file', 'k', '1', ''",
        "null, 'file', 'k', '1', convert_to(repeat('x', 8193), 'UTF8')",
    ],
)
def test_the_database_takes_no_row_that_is_neither_plain_nor_wrapped(landing, values):
    with pytest.raises(Exception, match="check constraint"), landing.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.file_keys (file_id, algorithm, created_at, key, backend, wrapping_key, key_version, "
                f"wrapped) values ('{UUID(int=7)}', 'x', now(), {values})"
            )
        )


def test_what_wrapped_in_the_home_is_read_after_the_settings_name_another_keeper(landing, tmp_path):
    files = land_some(landing, tmp_path, 2)
    home = landing.settings.home
    other = Counted(tmp_path / "other")
    landing.wrapping = KeyWrapping("other", lambda name: FileWrapper(home / "wrapping") if name == "file" else other)
    assert contents(landing, files) == files
    assert other.wraps == 0
    with pytest.raises(CounterfoilError):
        FileWrapper(tmp_path / "third").unwrap(landing.wrapping.wrap(b"k" * 32, {}), {})
