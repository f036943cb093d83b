"""The third edge where errors are mapped: to Dagster's retry policy.

What may pass by itself (`DependencyError.retryable`) is tried again a few times; everything else fails at once and says
so in words, because a permanent failure that is retried hides the incident. The original error stays the cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ledger_core.errors import CounterfoilError, DependencyError

MAX_RETRIES = 3


@contextmanager
def explained() -> Iterator[None]:
    """Turn our errors into what Dagster acts upon."""
    try:
        yield
    except DependencyError as error:
        if error.retryable:
            raise dg.RetryRequested(MAX_RETRIES, seconds_to_wait=error.retry_after_seconds) from error
        raise failure_of(error) from error
    except CounterfoilError as error:
        raise failure_of(error) from error


def failure_of(error: CounterfoilError) -> dg.Failure:
    """Return the failure that shows `error` in the UI: message, place and remedy."""
    metadata: dict[str, dg.MetadataValue] = {"code": dg.MetadataValue.text(error.code)}
    if error.where:
        metadata["where"] = dg.MetadataValue.text(error.where)
    if error.remedy:
        metadata["remedy"] = dg.MetadataValue.text(error.remedy)
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=False)


def original_error(error: BaseException) -> CounterfoilError | None:
    """Return our error behind what Dagster raised, if one is."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, CounterfoilError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
