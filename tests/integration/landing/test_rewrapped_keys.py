"""Keys of files wrapped anew: stopped, run again, refused, and while somebody drops one of them."""

from __future__ import annotations

import os
import threading
import time

import pytest
from sqlalchemy import text

from ingest.landing import file_keys
from ingest.landing.stored_bytes import read_stored
from ledger_core.errors import DependencyError, Erased, IntegrityError, KeyNotOpened
from tests.integration.landing.keepers import away, contents, counted, drop, land_some, make_plain, rows

pytestmark = pytest.mark.integration


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


def test_a_keeper_that_is_away_when_an_older_form_is_opened_ends_the_run_and_names_no_key(landing, tmp_path):
    land_some(landing, tmp_path, 2)
    landing.wrapping.rotate()
    wrapper = counted(landing)

    def unwrap(wrapped, context):
        raise away("sealed")

    wrapper.unwrap = unwrap
    with pytest.raises(DependencyError) as ended:
        file_keys.rewrap(landing)
    assert ended.value.context["reason"] == "sealed"
    counted(landing)
    assert file_keys.rewrap(landing).rewrapped == 2


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

    def drop_it():
        with landing.engine.begin() as connection:
            drop(connection, ids[2])
        dropped.set()

    def wrap(key, context):
        if wrapper.wraps == 0:
            threading.Thread(target=drop_it).start()
            assert dropped.wait(5), "no row is held while the keeper is asked: an erasure holds the head of the book"
        return slow(key, context)

    wrapper.wrap = wrap
    file_keys.rewrap(landing)
    assert dropped.wait(10)
    assert sorted(rows(landing)) == ids[:2]
    with pytest.raises(Erased):
        list(read_stored(landing, ids[2]))


def test_a_key_that_is_dropped_between_its_reading_and_its_update_is_passed_over(landing, tmp_path):
    files = land_some(landing, tmp_path, 3)
    ids = sorted(files)
    landing.wrapping.rotate()
    with landing.engine.connect() as dropping:
        drop(dropping, ids[0])
        done = []
        thread = threading.Thread(target=lambda: done.append(file_keys.rewrap(landing)))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "it waits for whoever drops"
        dropping.commit()
        thread.join(10)
    assert done[0].rewrapped == 2
    assert sorted(rows(landing)) == ids[1:]


def test_a_key_that_was_wrapped_meanwhile_by_somebody_else_is_left_as_he_left_it(landing, tmp_path):
    [file_id] = files = land_some(landing, tmp_path, 1)
    landing.wrapping.rotate()
    wrapper = counted(landing)
    plain = wrapper.wrap

    def wrap(key, context):
        with landing.engine.begin() as connection:
            connection.execute(text("update ops.file_keys set wrapped = :other"), {"other": plain(key, context).data})
        return plain(key, context)

    wrapper.wrap = wrap
    assert file_keys.rewrap(landing).rewrapped == 0
    assert rows(landing)[file_id]["key_version"] == "1", "as he left it"
    assert list(files) == [file_id]


def test_two_runs_at_once_are_one_and_a_refusal(landing, tmp_path):
    land_some(landing, tmp_path, 2)
    landing.wrapping.rotate()
    wrapper = counted(landing)
    slow, refused = wrapper.wrap, []

    def again():
        with pytest.raises(DependencyError, match="another process wraps") as busy:
            file_keys.rewrap(landing)
        refused.append(busy.value.retryable)

    def wrap(key, context):
        second = threading.Thread(target=again)
        second.start()
        second.join(5)
        assert not second.is_alive(), "it waits for rows where it is to be refused"
        return slow(key, context)

    wrapper.wrap = wrap
    assert file_keys.rewrap(landing).rewrapped == 2
    assert refused == [True, True]
