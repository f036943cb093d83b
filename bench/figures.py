"""The figures that each benchmark prints, as names: one table that reads the text of today's tree and of older ones.

Text and not JSON, because the commit that is compared with can only print what it printed then. A line that is worded
anew gets a second pattern here beside the old one; a figure that is not found is said aloud by `bench.compare`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"(-?[\d,]+(?:\.\d+)?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One printed number: `pattern` holds it as its first group, and one way is better."""

    name: str
    pattern: str
    higher_is_better: bool
    is_baseline: bool = False
    """It measures the machine and not the product: shown, never judged."""


def _rate(name: str, pattern: str | None = None, *, baseline: bool = False) -> Figure:
    pattern = pattern or rf"^{re.escape(name)}\s+{_NUMBER} "
    return Figure(name=name, pattern=pattern, higher_is_better=True, is_baseline=baseline)


def _cost(name: str, pattern: str, *, baseline: bool = False) -> Figure:
    return Figure(name=name, pattern=pattern, higher_is_better=False, is_baseline=baseline)


def _processor(case: str) -> tuple[Figure, Figure]:
    line = rf"^{re.escape(case)}\s+processor:\s+"
    return (
        _cost(f"{case}: us of ours", rf"{line}{_NUMBER} us ours"),
        _cost(f"{case}: us of the server", rf"{line}[\d.]+ us ours,\s+{_NUMBER} us server"),
    )


def _http(case: str, *, baseline: bool = False) -> tuple[Figure, ...]:
    line = rf"^{re.escape(case)}\s+"
    return (
        _rate(f"{case}: a second", rf"{line}{_NUMBER}/s", baseline=baseline),
        _cost(f"{case}: p50 ms", rf"{line}.*\bp50\s+{_NUMBER} ms", baseline=baseline),
        _cost(f"{case}: p99 ms", rf"{line}.*\bp99\s+{_NUMBER} ms", baseline=baseline),
    )


FIGURES: dict[str, tuple[Figure, ...]] = {
    "posting": (
        _rate("limit: plain COPY", baseline=True),
        _rate("posted, 1,000 accounts"),
        _rate("posted, 2 hot accounts"),
        _rate("of the limit"),
        *_processor("posted, 1,000 accounts"),
        *_processor("posted, 2 hot accounts"),
    ),
    "http_api": (
        *_http("no-op POST", baseline=True),
        *_http("single POST"),
        *_http("batch of 1,000"),
        *_http("balance read"),
        _rate("single POST / no-op POST", rf"^single POST / no-op POST:\s+{_NUMBER}"),
        _cost("resident MiB at the end", rf"^resident: .*, {_NUMBER} MiB at the end"),
    ),
    "webhooks": (
        *_http("no-op at 200/s", baseline=True),
        *_http("webhook at 200/s"),
        *_http("no-op, 16 clients", baseline=True),
        *_http("webhook, 16 clients"),
        _rate("webhook / no-op", rf"^ratio webhook / no-op:\s+{_NUMBER}"),
    ),
    "growth": (
        _cost("hashes over matches and differences", rf"^  hashes over matches and differences\s+{_NUMBER} s"),
        _rate("one text / tree", rf"^  ratio one text / tree\s+{_NUMBER}"),
        _cost("manifest", rf"^  manifest: .*?\s{_NUMBER} s$"),
        _cost("coverage", rf"^  coverage, .*?\s{_NUMBER} s$"),
        _cost("findings", rf"^  findings over .*?\s{_NUMBER} s$"),
        _cost("merge of all differences", rf"^  merge of all differences\s+{_NUMBER} s"),
        _cost("by the row, all / a tenth", rf"^  ratio by the row, all / a tenth\s+{_NUMBER}"),
    ),
    "ingest": (
        _rate("bare COPY", baseline=True),
        _rate("landing"),
        _rate("landing / bare COPY", rf"^landing\s.*\({_NUMBER} of the bare COPY\)"),
        _cost("memory above idle, long file, MiB", rf"^memory above idle .*five times as long {_NUMBER} MiB"),
    ),
    "reconciliation": (
        _cost("matching, s", rf"^\s+matching: .*?\s{_NUMBER} s\s"),
        _cost("whole build, s", rf"^\s+whole build: .*?\s{_NUMBER} s$"),
        _cost("datacompy, s", rf"^\s+datacompy on pandas, .*?\s{_NUMBER} s$", baseline=True),
        _rate("datacompy / matching", rf"^\s+ratio datacompy / matching\s+{_NUMBER}"),
    ),
    "replay": (
        _rate("baseline: plain COPY of the rows", baseline=True),
        _rate("replayed, verified before"),
        _rate("ratio to the baseline", rf"^ratio to the baseline\s+{_NUMBER}$"),
        _cost("peak memory of a replay, MB", rf"^peak memory of a replay\s+{_NUMBER} MB"),
    ),
    "log": (
        _cost("exported in, s", rf"^exported in {_NUMBER} s"),
        _rate("baseline: gunzip and sha256", baseline=True),
        _rate("verified, strict, one core"),
        _rate("verified, strict, second process"),
        _rate("ratio, one core", rf"^ratio to the baseline, one core\s+{_NUMBER}$"),
        _rate("ratio, second process", rf"^ratio to the baseline, second process\s+{_NUMBER}$"),
        _cost("memory, one core, MB", rf"^peak memory, one core\s+{_NUMBER} MB"),
        _cost("memory, both processes, MB", rf"^peak memory, both processes\s+{_NUMBER} MB"),
        _cost("export and verification of 1 M, s", rf"^export and verification of 1 M together\s+{_NUMBER} s"),
        _cost("proof over HTTP, p50 ms", rf"^proof of one entry of .* p50 {_NUMBER} ms"),
        _cost("signatures a second", rf"^signatures asked of the key\s+{_NUMBER} a second"),
    ),
    "verify": (
        _cost("exported in, s", rf"^exported in {_NUMBER} s"),
        _rate("baseline: gunzip and sha256", baseline=True),
        _rate("verified, strict"),
        _rate("checked, every projection"),
        _rate("ratio to the baseline", rf"^ratio to the baseline\s+{_NUMBER}$"),
        _rate("verified in a second of CPU"),
        _cost("next export, s", rf"^next export .*\s{_NUMBER} s$"),
        _cost("proof of one entry, p50 ms", rf"^proof of one entry, p50\s+{_NUMBER} ms"),
    ),
}
"""By benchmark: the name of a module of this folder."""


def figures_in(benchmark: str, printed: str) -> dict[str, float]:
    """Return the figures of `benchmark` that stand in what it `printed`, by name."""
    found = {}
    for figure in FIGURES[benchmark]:
        match = re.search(figure.pattern, printed, re.MULTILINE)
        if match:
            found[figure.name] = float(match[1].replace(",", ""))
    return found
