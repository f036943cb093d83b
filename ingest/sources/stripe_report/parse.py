"""Stripe's report files, bytes in and rows out."""

from __future__ import annotations

from typing import BinaryIO

from ingest.formats.csv.reader import CsvReader
from ingest.sources.stripe_report.contract import CONTRACT


def parse(stream: BinaryIO, *, name: str) -> CsvReader:
    """Return a reader of the report in `stream`; its header says which report it is.

    Raises `InvalidInput` for a file that is none of Stripe's.
    """
    return CsvReader(stream, CONTRACT, name=name)
