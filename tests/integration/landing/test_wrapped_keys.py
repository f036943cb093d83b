"""The keys of landed files: wrapped on the way in, wrapped anew at any time, gone for good once they are dropped."""

from __future__ import annotations

import os
import threading
import time
from datetime import date
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from ingest.landing import file_keys
from ingest.landing.stored_bytes import drop_key, read_stored
from ledger_core.base.encryption import decrypt
from ledger_core.base.wrapping.file import FileWrapper
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.errors import (
    ConfigurationError,
    CounterfoilError,
    DependencyError,
    Erased,
    IntegrityError,
    KeyNotOpened,
    NotFound,
)
from ledger_core.settings import Settings
from ledger_core.settings.rooms import FileKeysSettings

pytestmark = pytest.mark.integration

OLDER = (
    "insert into ops.file_keys (file_id, algorithm, key, created_at) values (:file_id, 'AES-256-GCM/1MiB', :key, now())"
)
"""As the release before this one writes a key."""


class Counted:
    """The keys of a home, which fail at the call `fails_at`, and count."""

    def __init__(self, folder, *, fails_at=0, error=None):
        self._wrapper, self.fails_at, self.error = FileWrapper(folder), fails_at, error
        self.wraps = self.unwraps = 0

    @property
    def current(self):
        return self._wrapper.current

    def wrap(self, key, context):
        self.wraps += 1
        if self.wraps == self.fails_at:
            raise self.error
        return self._wrapper.wrap(key, context)

    def unwrap(self, wrapped, context):
        self.unwraps += 1
        return self._wrapper.unwrap(wrapped, context)

    def rotate(self):
        return self._wrapper.rotate()

    def close(self):
        pass


def counted(landing, **told):
    wrapper = Counted(landing.settings.home / "wrapping", **told)
    landing.wrapping = KeyWrapping("file", lambda _: wrapper)
    return wrapper


def away(reason="unreachable"):
    return DependencyError(f"the keeper: {reason}.", reason=reason)


def rows(landing):
    return {row["file_id"]: row for row in landing.rows("select * from ops.file_keys")}


def land_some(landing, tmp_path, count, start=0):
    paths = [landing.report(tmp_path / f"{number}.csv", start=number * 10) for number in range(start, start + count)]
    files = landing.land(*paths)
    assert {file.status for file in files} == {"landed"}
    return {file.file_id: path.read_bytes() for file, path in zip(files, paths, strict=True)}


def make_plain(landing, ids):
    """Put the rows of `ids` as the release before this one left them; return the keys."""
    keys = {file_id: file_keys.open_key(landing, file_id) for file_id in ids}
    with landing.engine.begin() as connection:
        for file_id, key in keys.items():
            connection.execute(text("delete from ops.file_keys where file_id = :id"), {"id": file_id})
            connection.execute(text(OLDER), {"file_id": file_id, "key": key})
    return keys


def contents(landing, files):
    return {file_id: b"".join(read_stored(landing, file_id)) for file_id in files}


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
        assert drop_key(connection, gone)
        connection.rollback()
    assert contents(landing, files) == files
    for expected in (True, False, False):
        with landing.engine.begin() as connection:
            assert drop_key(connection, gone) is expected
    with pytest.raises(Erased, match="its key was dropped") as erased:
        list(read_stored(landing, gone))
    assert (erased.value.code, str(gone) in str(erased.value)) == ("erased", True)
    assert contents(landing, [kept]) == {kept: files[kept]}
    with pytest.raises(NotFound) as unknown:
        list(read_stored(landing, uuid4()))
    assert not isinstance(unknown.value, Erased)
    with landing.engine.begin() as connection:
        assert not drop_key(connection, uuid4())
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 6, "the rows stand"


def test_the_same_file_after_its_erasure_says_so_and_brings_nothing_back(landing, tmp_path):
    files = land_some(landing, tmp_path, 1)
    [gone] = files
    with landing.engine.begin() as connection:
        drop_key(connection, gone)
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
        drop_key(connection, gone)
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


def test_a_rotation_leaves_nothing_under_the_older_key(landing, tmp_path, monkeypatch):
    monkeypatch.setattr(file_keys, "BATCH_KEYS", 3)
    files = land_some(landing, tmp_path, 8)
    make_plain(landing, list(files)[:2])
    told = []
    made = landing.wrapping.rotate()
    done = file_keys.rewrap(landing, progress=told.append)
    assert (done.current, done.rewrapped, done.failed, done.left) == (made, 8, 0, 0)
    assert told == [3, 6, 8]
    assert file_keys.held(landing.engine) == [file_keys.Held(by=made, keys=8)]
    (landing.settings.home / "wrapping" / "0001.key").unlink()
    assert contents(landing, files) == files
    assert file_keys.rewrap(landing).rewrapped == 0, "again does nothing"


def test_wrapping_anew_may_be_stopped_and_names_what_does_not_open(landing, tmp_path, monkeypatch):
    monkeypatch.setattr(file_keys, "BATCH_KEYS", 2)
    files = land_some(landing, tmp_path, 6)
    ids = sorted(files)
    with landing.engine.begin() as connection:
        connection.execute(
            text(
                "update ops.file_keys as one set wrapped = other.wrapped from ops.file_keys as other "
                "where one.file_id = :one and other.file_id = :other"
            ),
            {"one": ids[1], "other": ids[4]},
        )
    with pytest.raises(KeyNotOpened, match="wrong context"):
        list(read_stored(landing, ids[1]))
    landing.wrapping.rotate()
    wrapper = counted(landing, fails_at=4, error=away("throttled"))
    with pytest.raises(DependencyError):
        file_keys.rewrap(landing)
    assert sorted(row["key_version"] for row in rows(landing).values()) == ["1"] * 3 + ["2"] * 3
    wrapper.fails_at = 0
    done = file_keys.rewrap(landing)
    assert (done.rewrapped, done.failed, done.left) == (2, 1, 1)
    [(named, why)] = done.failures
    assert (named, "wrong context" in why) == (ids[1], True)
    assert rows(landing)[ids[1]]["key_version"] == "1", "as it was, for whoever has to look"
    whole = {file_id: content for file_id, content in files.items() if file_id != ids[1]}
    assert contents(landing, whole) == whole


def test_an_older_key_that_is_gone_is_named_for_each_and_the_others_go_on(landing, tmp_path):
    first = land_some(landing, tmp_path, 2)
    landing.wrapping.rotate()
    second = land_some(landing, tmp_path, 2, start=2)
    (landing.settings.home / "wrapping" / "0001.key").unlink()
    landing.wrapping.rotate()
    done = file_keys.rewrap(landing)
    assert (done.rewrapped, done.failed, done.left) == (2, 2, 2)
    assert {file_id for file_id, _ in done.failures} == set(first)
    assert contents(landing, second) == second


def test_a_keeper_that_gives_back_another_key_replaces_nothing(landing, tmp_path):
    files = land_some(landing, tmp_path, 2)
    landing.wrapping.rotate()
    wrapper = counted(landing)
    plain = wrapper.unwrap
    wrapper.unwrap = lambda wrapped, context: plain(wrapped, context) if wrapped.by.version == "1" else os.urandom(32)
    with pytest.raises(IntegrityError, match="came back another one"):
        file_keys.rewrap(landing)
    assert {row["key_version"] for row in rows(landing).values()} == {"1"}
    counted(landing)
    assert contents(landing, files) == files


def test_a_key_that_is_dropped_while_all_are_wrapped_anew_stays_dropped(landing, tmp_path):
    files = land_some(landing, tmp_path, 3)
    ids = sorted(files)
    landing.wrapping.rotate()
    wrapper = counted(landing)
    slow, dropped = wrapper.wrap, threading.Event()

    def drop():
        with landing.engine.begin() as connection:
            drop_key(connection, ids[2])
        dropped.set()

    def wrap(key, context):
        if wrapper.wraps == 0:
            threading.Thread(target=drop).start()
            time.sleep(0.3)
            assert not dropped.is_set(), "it waits for the batch"
        return slow(key, context)

    wrapper.wrap = wrap
    file_keys.rewrap(landing)
    assert dropped.wait(10)
    assert sorted(rows(landing)) == ids[:2]
    with pytest.raises(Erased):
        list(read_stored(landing, ids[2]))


def test_a_key_that_was_dropped_between_the_list_and_its_lock_is_passed_over(landing, tmp_path):
    files = land_some(landing, tmp_path, 3)
    ids = sorted(files)
    landing.wrapping.rotate()
    with landing.engine.connect() as dropping:
        drop_key(dropping, ids[0])
        done = []
        thread = threading.Thread(target=lambda: done.append(file_keys.rewrap(landing)))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "it waits for whoever drops"
        dropping.commit()
        thread.join(10)
    assert done[0].rewrapped == 2
    assert sorted(rows(landing)) == ids[1:]


def test_two_runs_at_once_are_one_and_a_refusal(landing, tmp_path):
    land_some(landing, tmp_path, 2)
    landing.wrapping.rotate()
    wrapper = counted(landing)
    slow, refused = wrapper.wrap, []

    def wrap(key, context):
        with pytest.raises(DependencyError, match="another process wraps") as busy:
            file_keys.rewrap(landing)
        refused.append(busy.value.retryable)
        return slow(key, context)

    wrapper.wrap = wrap
    assert file_keys.rewrap(landing).rewrapped == 2
    assert refused == [True, True]


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
