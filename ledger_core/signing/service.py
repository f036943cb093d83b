"""The signing proxy's work, without its transport: judge, store, sign, check the signature, answer.

The one process that runs this is the only one that can reach a key. It never signs what it did not put together
itself: checkpoints from (origin, size, root), DSSE envelopes of the few types on its list. Durable before signed: the
state is stored first, so that no crash can leave a signature over something the state does not know.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from ledger_core.errors import (
    CounterfoilError,
    DependencyError,
    IntegrityError,
    InvalidInput,
    SignerMovedOn,
    SignerRefused,
)
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import CHECKPOINT_PURPOSE, DSSE_PURPOSE, KeyRing, origin_matches
from ledger_core.log.note import (
    ORIGIN_PATTERN,
    Checkpoint,
    NoteSignature,
    SignedNote,
    checkpoint_text,
    encode_base64,
    parse_checkpoint,
    parse_note,
)
from ledger_core.signing.payload import read_object, tree_after
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.state import WitnessState
from ledger_core.signing.witness import Request, Ruling, judge

ALLOWED_TYPES = frozenset({SEGMENT_TYPE, PROOF_TYPE, REPORT_TYPE})
HEALTH_TYPE = "application/vnd.counterfoil.health.v1+json"
MAX_SWAP_ATTEMPTS = 3
MAX_LOGS = 1_000
"""Of how many logs one state remembers what was signed: books of one installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which logs the client may have signed: origins below `origin_prefix`."""

    origin_prefix: str

    def allows(self, origin: str) -> bool:
        """Say whether `origin` is one, and the client's."""
        below = f"{self.origin_prefix.rstrip('/')}/*"
        return ORIGIN_PATTERN.match(origin) is not None and origin_matches(below, origin)


class SigningService:
    """One key, one state, one policy. Safe for threads: requests are served one at a time."""

    def __init__(
        self,
        *,
        backend: SigningBackend,
        state: WitnessState,
        ring: KeyRing,
        registry: list[Envelope],
        policy: Policy,
        confirmed: Collection[str] = (),
        overlap: Mapping[str, tuple[NoteSignature, ...]] | None = None,
    ) -> None:
        self._backend = backend
        self._overlap = overlap or {}
        self._state = state
        self._ring = ring
        self._registry = registry
        self._policy = policy
        # A log that is opened later has nothing that could have been put back.
        self._unconfirmed = sorted(set(state.origins()) - set(confirmed))
        self._is_confirmed = bool(confirmed) and not self._unconfirmed
        self._lock = threading.Lock()
        self._signed = 0

    def sign_checkpoint(self, request: Request) -> str:
        """Return the note for the requested checkpoint, or for a larger one signed before.

        Raises `SignerRefused` for a fork, a foreign origin or a key out of its range, `SignerMovedOn` when it
        starts from another size than the last one signed.
        """
        origin = request.checkpoint.origin
        self._check_origin(origin)
        with self._lock:
            for _ in range(MAX_SWAP_ATTEMPTS):
                last = self._state.last(origin)
                ruling = judge(last, request)
                if ruling is Ruling.STORE_AND_SIGN:
                    self._check_key(request.checkpoint, CHECKPOINT_PURPOSE)
                    self._check_room(last)
                    if self._state.swap(last, request.checkpoint):
                        return self._note(request.checkpoint)
                    continue  # another proxy on the same state was faster: judge again
                if ruling is Ruling.SIGN_AGAIN:
                    return self._note(request.checkpoint)
                if ruling is Ruling.ANSWER_LAST and last is not None:
                    return self._note(last)
                raise self._refusal(ruling, last, request)
        raise DependencyError("the witness state is contended.", remedy="Ask again; run one proxy per state.")

    def latest(self, origin: str) -> str | None:
        """Return the newest checkpoint's note of `origin`, signed again, or None."""
        self._check_origin(origin)
        with self._lock:
            last = self._state.last(origin)
            return None if last is None else self._note(last)

    def sign_dsse(
        self,
        payload_type: str,
        payload: bytes,
        *,
        checkpoint: str | None = None,
        check: Callable[[str], None] = lambda _origin: None,
    ) -> Envelope:
        """Return `payload` in a signed envelope. Raises `SignerRefused` for a type or a log that is not on the list.

        A manifest is judged as a checkpoint is: it ends at the tree signed last, or at one whose signed note is
        `checkpoint`. `check` is told the origin that the payload names, and raises where it is not the client's.
        """
        if payload_type not in ALLOWED_TYPES:
            raise SignerRefused(
                f"envelopes of type {payload_type!r:.80} are not signed here.",
                remedy=f"Allowed: {', '.join(sorted(ALLOWED_TYPES))}.",
                reason="type",
            )
        value = read_object(payload)
        origin = value.get("origin")
        if not isinstance(origin, str):
            raise InvalidInput("the payload names no origin.", pointer="/origin", remedy="Name the log it speaks of.")
        self._check_origin(origin)
        check(origin)
        with self._lock:
            if payload_type == SEGMENT_TYPE:
                self._check_segment(origin, value, checkpoint)
            return self._envelope(payload_type, payload)

    def keys(self) -> list[dict[str, Any]]:
        """Return the key registry, oldest version first."""
        return [envelope.as_json() for envelope in self._registry]

    def remembered(self) -> dict[str, list[Any]]:
        """Return size and root (base64) signed last, by log. Nothing is signed for it, and no signature waited for."""
        return {origin: [item.size, encode_base64(item.root)] for origin, item in self._state.all().items()}

    def health(self) -> dict[str, Any]:
        """Make a real signature over a nonce, of a type nothing else accepts, and say with what."""
        with self._lock:
            self._envelope(HEALTH_TYPE, json.dumps({"nonce": token_hex(16)}).encode())
            return {
                "status": "ok",
                "assurance": self._backend.assurance,
                "backend": self._backend.name,
                "key_id": self._backend.public_key.key_id,
                "registry_version": self._ring.version,
                "origins": self._state.origins(),
                "signed_sizes": self._state.sizes(),
                "confirmed": "archive" if self._is_confirmed else "unconfirmed",
                "unconfirmed_origins": self._unconfirmed,
                "signatures": self._signed,
            }

    @property
    def generation(self) -> int:
        """How many times the state has moved on. Read without the lock: who measures does not wait for a signature."""
        return self._state.generation

    def close(self) -> None:
        """Wait for the request in hand and close the state."""
        with self._lock:
            self._state.close()

    def _note(self, checkpoint: Checkpoint) -> str:
        self._check_key(checkpoint, CHECKPOINT_PURPOSE)
        text = checkpoint_text(checkpoint.origin, checkpoint.size, checkpoint.root)
        signature = self._sign(text.encode())
        key_hash = self._backend.public_key.note_hash(checkpoint.origin)
        # At the size where one key takes over from another, the checkpoint carries the lines of both.
        former = self._overlap.get(text, ())
        return str(SignedNote(text, (*former, NoteSignature(checkpoint.origin, key_hash, signature))))

    def _envelope(self, payload_type: str, payload: bytes) -> Envelope:
        signature = self._sign(pae(payload_type, payload))
        return Envelope(payload_type, payload, (EnvelopeSignature(self._backend.public_key.key_id, signature),))

    def _sign(self, message: bytes) -> bytes:
        signature = self._backend.sign(message)
        # Back-ends differ in hashing and in encoding, and emulators lie; nothing leaves here unverified.
        if not self._backend.public_key.verify(message, signature):
            raise IntegrityError(
                "the back-end returned a signature that its own key does not verify.",
                remedy="Check the key's algorithm and the back-end's signing mode.",
            )
        self._signed += 1
        return signature

    def _check_origin(self, origin: str) -> None:
        if not self._policy.allows(origin):
            raise SignerRefused(
                f"the log {origin!r:.80} is not this client's.",
                remedy=f"Origins below {self._policy.origin_prefix} are signed here.",
                reason="origin",
            )

    def _check_key(self, checkpoint: Checkpoint, purpose: str) -> None:
        key_id = self._backend.public_key.key_id
        record = next((item for item in self._ring.keys if item.key.key_id == key_id), None)
        may = record is not None and purpose in record.purposes
        if record is None or not may or not record.is_valid_at(checkpoint.origin, checkpoint.size):
            raise SignerRefused(
                f"the key {key_id[:16]} may not sign {checkpoint.origin} at size {checkpoint.size}.",
                remedy="Publish a registry version that gives the key this range, or rotate.",
                reason="key",
            )

    def _check_room(self, last: Checkpoint | None) -> None:
        if last is None and len(self._state.origins()) >= MAX_LOGS:
            raise SignerRefused(
                f"{MAX_LOGS:,} logs are signed here, the most that one state remembers.",
                remedy="Give the next books a proxy of their own.",
                reason="logs",
            )

    def _check_segment(self, origin: str, value: dict[str, Any], note: str | None) -> None:
        """Refuse a manifest whose tree this proxy has not signed. Of a smaller one than the last, the note tells."""
        after = tree_after(origin, value)
        last = self._state.last(origin)
        if last is None or after.size > last.size:
            raise SignerRefused(
                "the manifest covers records that are not signed.", remedy="Have them signed first.", reason="unsigned"
            )
        self._check_key(after, DSSE_PURPOSE)
        if after.size == last.size:
            if after.root != last.root:
                raise SignerRefused("the manifest's root is not the signed one.", remedy=_COMPARE, reason="fork")
        elif note is None or not self._has_signed(after, note):
            raise SignerRefused(
                f"no checkpoint that was signed here says what {origin} was at size {after.size}.",
                remedy="Send with a manifest the signed note of the tree that it ends at.",
                reason="unsigned",
            )

    def _has_signed(self, checkpoint: Checkpoint, note: str) -> bool:
        try:
            signed = parse_note(note)
            stated = parse_checkpoint(signed.text)
        except CounterfoilError:
            return False
        return stated == checkpoint and self._ring.judge_checkpoint(signed, stated).verdict is None

    def _refusal(self, ruling: Ruling, last: Checkpoint | None, request: Request) -> Exception:
        asked = request.checkpoint
        latest = None if last is None else self._note(last)
        if ruling is Ruling.MOVED_ON:
            return SignerMovedOn(
                f"the last size signed is {last.size if last else 0}, the request starts from {request.old.size}.",
                remedy="Show the records since the last size signed.",
                latest=latest,
            )
        if ruling is Ruling.UNKNOWN_HISTORY:
            return SignerRefused(
                f"nothing of {asked.origin} was signed here, yet the request starts from {request.old.size}.",
                remedy="The proxy's state was lost or is another's: restore it before anything is signed.",
                reason="unknown_history",
            )
        return SignerRefused(
            f"size {asked.size} of {asked.origin} does not extend the tree signed at {last.size if last else 0}.",
            remedy=_COMPARE,
            reason="fork",
            latest=latest,
        )


_COMPARE = "The ledger was rewritten, forked or rolled back: compare it with the archive, keep this state."
