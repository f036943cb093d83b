"""Make the files of a sample company: what its provider and its banks report, and what it booked itself.

For demonstrations, tests and benchmarks; nothing that matches ever reads `truth.json`. Invariant: the bytes are a
function of the arguments alone, and the truth lists every difference in them. The formats: docs/formats/sample.md.
"""

from sample.model import SampleSummary
from sample.writer import SOURCES, make_sample

__all__ = ["SOURCES", "SampleSummary", "make_sample"]
