"""A back-end under a deadline: a token, a KMS or a Vault that hangs takes one thread with it, and nobody else waits.

Each signature is made by one thread of its own, because a token's session is one thread's at a time. While it hangs,
whatever else is asked fails at once; nothing is queued behind it, and no second thread is begun beside it. A key in the
memory of this process cannot hang: whoever asks uses it, for a thread more costs as much as its signature. Also where
signatures are counted. Not asked again here: the back-ends do that themselves, and the callers.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field

from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.log.note import PublicKey
from ledger_core.signing.measures import Measures
from ledger_core.signing.port import SigningBackend

SIGN_SECONDS = 10.0
"""Longer than a back-end tries by itself, shorter than the 15 seconds that a client waits."""

IN_PROCESS = frozenset({"software"})
"""Kinds of back-end that ask nobody for a signature."""


@dataclass(slots=True)
class _Task:
    message: bytes
    done: threading.Event = field(default_factory=threading.Event)
    signature: bytes | None = None
    error: BaseException | None = None


class PatientBackend:
    """`SigningBackend` over another one. The service asks for one signature at a time."""

    def __init__(self, backend: SigningBackend, measures: Measures, *, seconds: float = SIGN_SECONDS) -> None:
        self._backend, self._measures, self._seconds = backend, measures, seconds
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._hanging: _Task | None = None
        self._hanging_since = 0.0
        self._made = threading.local()
        self._waits = backend.name not in IN_PROCESS
        if self._waits:
            threading.Thread(target=self._work, name="signing-backend", daemon=True).start()

    @property
    def name(self) -> str:
        """The kind of back-end."""
        return self._backend.name

    @property
    def assurance(self) -> str:
        """What keeps the key."""
        return self._backend.assurance

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._backend.public_key

    @property
    def made(self) -> int:
        """How many signatures the calling thread has had made."""
        return getattr(self._made, "count", 0)

    def sign(self, message: bytes) -> bytes:
        """Return the back-end's signature. Raises as it does, and `DependencyError` when it does not come in time."""
        task, started = _Task(message), time.monotonic()
        if self._waits:
            self._wait_for(task, started)
        else:
            self._make(task)
        if task.error is not None:
            self._measures.failed("refused" if isinstance(task.error, DependencyError) else "invalid")
            if isinstance(task.error, CounterfoilError):
                raise task.error
            raise DependencyError(
                f"the signing back-end failed: {type(task.error).__name__}: {task.error}.",
                remedy="See the log of the proxy and of the back-end.",
            ) from task.error
        assert task.signature is not None
        self._measures.signed(time.monotonic() - started)
        self._made.count = self.made + 1
        return task.signature

    def _wait_for(self, task: _Task, started: float) -> None:
        if self._hanging is not None:
            if not self._hanging.done.is_set():
                raise self._late(time.monotonic() - self._hanging_since)
            self._hanging = None
        self._tasks.put(task)
        if not task.done.wait(self._seconds):
            self._hanging, self._hanging_since = task, started
            raise self._late(self._seconds)

    def _late(self, seconds: float) -> DependencyError:
        self._measures.failed("late")
        return DependencyError(
            f"the signing back-end has not answered for {seconds:.1f} s.",
            remedy="Look at the token, the KMS or the Vault; restart the proxy if it does not come back.",
        )

    def _work(self) -> None:
        while True:
            self._make(self._tasks.get())

    def _make(self, task: _Task) -> None:
        try:
            task.signature = self._backend.sign(task.message)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits, who raises it
            task.error = error
        task.done.set()
