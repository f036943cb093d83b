"""What every step has: the runtime, the days, a word on where it is, a stopwatch, errors that explain themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg

from ledger_core.runtime import Runtime
from orchestration.failures import explained
from orchestration.partitions import Window, window_of

RESOURCES = {"runtime", "progress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one run."""

    runtime: Runtime
    window: Window
    say: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return how long the step has taken so far."""
        return round(time.monotonic() - self.started, 3)


@contextmanager
def step(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Iterator[Step]:
    """Open the step of `context`; errors of ours leave it as failures or retries."""
    say = context.resources.progress or context.log.info
    say(context.op_execution_context.op.name.replace("_", " "))
    with explained():
        yield Step(runtime=context.resources.runtime, window=window_of(context), say=say)
