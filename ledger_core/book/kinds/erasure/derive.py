"""What the erasure records say is erased, row by row; and that no file whose key was dropped has one again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_core.evidence.check.model import Code
from ledger_core.log.record import Record
from ledger_core.ports import ErasableFiles

if TYPE_CHECKING:
    from ledger_core.evidence.check.checking import Checking


class Erasures:
    """Derives `erased_values` and `erased_files`; memory grows with the number of erased files alone."""

    def __init__(self, checking: Checking, files: ErasableFiles | None) -> None:
        self._checking = checking
        self._room = files
        self._by_file: dict[str, int] = {}
        self._values = checking.compare(
            "select seq, entry_seq, name from ledger.erased_values where book = %(book)s order by 1, 2, 3",
            table="ledger.erased_values",
            columns=("seq", "entry_seq", "name"),
            key_length=3,
        )
        self._files = checking.compare(
            'select seq, file_id::text collate "C" from ledger.erased_files where book = %(book)s order by 1, 2',
            table="ledger.erased_files",
            columns=("seq", "file_id"),
            key_length=2,
        )

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of kind `erasure`. Raises `KeyError` or `TypeError` if it is none."""
        for item in record.body["values"]:
            if not item["seq"] < seq:
                self._checking.report_edited(seq, f"it erases from seq {item['seq']}, which came later")
            for name in item["names"]:
                self._values.expect((seq, item["seq"], name))
        for file in record.body["files"]:
            self._files.expect((seq, file["file_id"]))
            self._by_file[file["file_id"]] = seq

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._values.skip(seq)
        self._files.skip(seq)

    def finish(self) -> dict[str, int]:
        """Report keys that are there again; return the rows compared by table."""
        if self._by_file and self._room is not None:
            held = self._checking.snapshot.rows(self._room.held_query, files=list(self._by_file))
            for (file_id,) in held:
                self._checking.findings.add(
                    Code.NOT_ERASED,
                    self._room.table,
                    self._by_file[file_id],
                    f"the key of file {file_id}, which this record erased, is there",
                )
        return {"erased_values": self._values.finish(), "erased_files": self._files.finish()}
