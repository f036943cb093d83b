"""The process that `bench.log` has verify a segment: `python -m bench.log_verify FOLDER TRUST PROCESSES`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.apart import peak_megabytes
from ledger_core.log import verifier
from ledger_core.log.unfolding import SecondProcess


class Second(SecondProcess):
    """The second process, whose memory is looked at before it ends."""

    peaks: list[float] = []  # noqa: RUF012 - of all that there are

    def close(self) -> None:
        """Note its peak, and end it."""
        if self._process is not None:
            self.peaks.append(peak_megabytes(self._process.pid))
        super().close()


def main(folder: str, trust: str, processes: str) -> None:
    """Print how many records were verified, the seconds without the start, and the peak memory of all in MB."""
    verifier.SecondProcess = Second  # type: ignore[misc]
    started = time.perf_counter()
    report = verifier.verify_path(Path(folder), Path(trust), processes=int(processes))
    seconds = time.perf_counter() - started
    assert report.verdict == "verified", report.as_lines()[:5]
    print(report.records, seconds, sum(Second.peaks) + peak_megabytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
