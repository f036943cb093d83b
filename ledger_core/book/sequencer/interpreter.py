"""Two settings of the interpreter that a process which posts needs; made once, when its first sequencer starts.

They are the whole process's, not the ledger's own, so they only ever move one way: a part of the process that asks
for more keeps it. Measured on two busy cores, `bench/posting.py`.
"""

from __future__ import annotations

import gc
import sys

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long one thread may keep the interpreter while another waits for it.

The writer's thread waits for the server some ten times a batch, and each time it must get the interpreter back from
threads that prepare and plan. With Python's 5 ms the ratio to plain COPY was 0.37, with 0.5 ms 0.53; 0.1 ms brought no
more.
"""

COLLECT_AFTER_OBJECTS = 50_000
"""New containers after which the youngest generation is collected; Python's own number is 700.

A batch of 1,000 entries makes some 8,000 containers that all live until it is answered, so that nearly every one of ten
collections a batch finds nothing: a sixth of all processor time. At 50,000 they may hold some ten megabytes.
"""


def tune_interpreter() -> None:
    """Make both settings, unless the process asked for more already."""
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_SECONDS))
    youngest, middle, oldest = gc.get_threshold()
    if 0 < youngest < COLLECT_AFTER_OBJECTS:
        gc.set_threshold(COLLECT_AFTER_OBJECTS, middle, oldest)
