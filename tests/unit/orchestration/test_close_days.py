"""Which days may be closed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ledger_core.errors import InvalidInput
from ledger_core.settings import Settings
from ledger_core.settings.rooms import OrchestrationSettings
from orchestration.first_day import first_day
from orchestration.partitions import MAX_DAYS, Window, check_window

TODAY = date(2026, 11, 26)


def settings_of(home: Path, first_close_on: date | None = None) -> Settings:
    return Settings(
        home_path=home,
        database_url=None,
        env="test",
        orchestration=OrchestrationSettings(first_close_on=first_close_on),
    )


def test_without_a_database_the_days_begin_with_the_one_that_the_next_cut_off_closes(tmp_path: Path) -> None:
    assert first_day(settings_of(tmp_path), TODAY) == date(2026, 11, 25)


def test_a_day_before_all_data_may_be_closed_unless_a_setting_forbids_it(tmp_path: Path) -> None:
    window = Window(first=date(2023, 5, 1), last=date(2023, 5, 31))
    check_window(window, settings_of(tmp_path), TODAY)
    check_window(window, settings_of(tmp_path, date(2023, 5, 1)), TODAY)
    with pytest.raises(InvalidInput, match="before the first day that may be closed"):
        check_window(window, settings_of(tmp_path, date(2023, 5, 2)), TODAY)


def test_a_range_has_an_end_and_neither_turns_back_nor_reaches_into_the_future(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    check_window(Window(first=TODAY, last=TODAY), settings, TODAY)
    with pytest.raises(InvalidInput, match="lies after"):
        check_window(Window(first=TODAY, last=date(2026, 11, 25)), settings, TODAY)
    with pytest.raises(InvalidInput, match="has not begun"):
        check_window(Window(first=TODAY, last=date(2026, 11, 27)), settings, TODAY)
    with pytest.raises(InvalidInput, match=f"at most {MAX_DAYS:,}"):
        check_window(Window(first=date(1926, 11, 26), last=TODAY), settings, TODAY)
