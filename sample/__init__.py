"""Make the files of a sample company: what its provider and its banks report, and what it booked itself.

For demonstrations, tests and benchmarks; nothing that matches ever reads `truth.json`. Invariant: the bytes are a
function of the arguments alone, and the truth lists every difference in them. The formats: docs/formats/sample.md.
"""

from sample.model import DIRT, REPORTS, SampleSummary
from sample.providers import PROVIDERS
from sample.writer import make_sample

__all__ = ["DIRT", "PROVIDERS", "REPORTS", "SampleSummary", "make_sample"]
