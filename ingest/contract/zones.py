"""In which zone a time is whose zone stands beside it: a label such as `PDT`, a distance from UTC, or a zone's name.

A label is a distance from UTC, whatever the season: whoever writes `CET` in July means an hour. Labels that several
zones share are read in the zone of the setting, if that is one of them, and else in none: half a day's guess moves an
item to another day. SQL reads them by the function `raw.zoned_instant`, frozen in a migration; a test says when it
parts from this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

OFFSETS: Mapping[str, int] = {
    "ACDT": 630,
    "ACST": 570,
    "ADT": -180,
    "AEDT": 660,
    "AEST": 600,
    "AKDT": -480,
    "AKST": -540,
    "ART": -180,
    "AWST": 480,
    "BRST": -120,
    "BRT": -180,
    "BST": 60,
    "CAT": 120,
    "CDT": -300,
    "CEST": 120,
    "CET": 60,
    "CLST": -180,
    "CLT": -240,
    "COT": -300,
    "EAT": 180,
    "EDT": -240,
    "EEST": 180,
    "EET": 120,
    "EST": -300,
    "GMT": 0,
    "GST": 240,
    "HKT": 480,
    "HST": -600,
    "ICT": 420,
    "IDT": 180,
    "JST": 540,
    "KST": 540,
    "MDT": -360,
    "MSK": 180,
    "MST": -420,
    "MYT": 480,
    "NDT": -150,
    "NST": -210,
    "NZDT": 780,
    "NZST": 720,
    "PDT": -420,
    "PET": -300,
    "PKT": 300,
    "PST": -480,
    "SAST": 120,
    "SGT": 480,
    "TRT": 180,
    "UTC": 0,
    "UYT": -180,
    "WAT": 60,
    "WEST": 60,
    "WET": 0,
    "WIB": 420,
}
"""Minutes east of UTC, by label: those of the markets in which payments are settled, in the sense they have there."""

SHARED: Mapping[str, Mapping[str, int]] = {
    "AST": {
        "America/Bermuda": -240,
        "America/Halifax": -240,
        "America/Puerto_Rico": -240,
        "America/Santo_Domingo": -240,
        "Asia/Baghdad": 180,
        "Asia/Bahrain": 180,
        "Asia/Kuwait": 180,
        "Asia/Qatar": 180,
        "Asia/Riyadh": 180,
    },
    "CST": {
        "America/Chicago": -360,
        "America/Costa_Rica": -360,
        "America/El_Salvador": -360,
        "America/Guatemala": -360,
        "America/Mexico_City": -360,
        "America/Monterrey": -360,
        "America/Regina": -360,
        "America/Winnipeg": -360,
        "Asia/Shanghai": 480,
        "Asia/Taipei": 480,
    },
    "IST": {"Asia/Calcutta": 330, "Asia/Jerusalem": 120, "Asia/Kolkata": 330, "Europe/Dublin": 60},
}
"""Labels of several zones: which they may be, and the minutes east of UTC that the label is in each."""

_DISTANCE = re.compile(r"(?:GMT|UTC)?([+-])(0\d|1[0-4]):([0-5]\d)", re.ASCII)
_NAME = re.compile(
    r"(?:Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific)(?:/[A-Z][A-Za-z_-]{1,30}){1,2}", re.ASCII
)
_YOUNG = frozenset({"America/Ciudad_Juarez", "America/Coyhaique"})
"""Names made after the oldest database server that is supported, which may not know them."""


@lru_cache(maxsize=1_024)
def zone_of(label: str, *, chosen: str | None) -> tzinfo | None:
    """Return the zone that `label` says, None where it says none; `chosen` decides between those that share it."""
    minutes = OFFSETS.get(label)
    if minutes is None and label in SHARED:
        minutes = SHARED[label].get(chosen or "")
    if minutes is None and (distance := _DISTANCE.fullmatch(label)):
        sign, hours, rest = distance.groups()
        minutes = (int(hours) * 60 + int(rest)) * (-1 if sign == "-" else 1)
    if minutes is not None:
        return timezone(timedelta(minutes=minutes))
    if label in _YOUNG or _NAME.fullmatch(label) is None:
        return None
    try:
        return ZoneInfo(label)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None


def what_is_wrong(label: str, *, source: str) -> str:
    """Say why `zone_of` knows no zone for `label`, and what to do about it."""
    if label == "":
        return "no zone stands beside it."
    if label in SHARED:
        return (
            f"{label} is the time of several zones. Set COUNTERFOIL_INGEST__TIME_ZONES to that of the account, "
            f'such as {{"{source}": "{min(SHARED[label])}"}}; known are {", ".join(sorted(SHARED[label]))}.'
        )
    return f"{label[:40]!r} is no time zone that is known here. Have the account's set to UTC or to an Area/City name."
