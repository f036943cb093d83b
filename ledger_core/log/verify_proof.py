"""Verify proofs of single records: the JSON bundle (bare or in its envelope) and the C2SP tlog-proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger_core.errors import CounterfoilError, UnbalancedEntry, UnknownSchema
from ledger_core.log.commitments import opens
from ledger_core.log.doubts import note_signers
from ledger_core.log.dsse import PROOF_TYPE, Envelope
from ledger_core.log.findings import (
    BAD_SIGNATURE,
    CANNOT_TELL,
    EDITED,
    FAILED,
    FAILURES,
    FORKED,
    NOT_CANONICAL,
    REORDERED,
    UNBALANCED,
    UNKNOWN_SCHEMA,
    UNSIGNED_PENDING,
    UNVERIFIABLE,
    VERIFIED,
    Failure,
    VerificationReport,
)
from ledger_core.log.keys import Judgement, KeyRing, TrustFile
from ledger_core.log.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger_core.log.note import Checkpoint, encode_base64, parse_checkpoint, parse_note
from ledger_core.log.proof import Consistency, ProofBundle, ProvedRecord, Stated, TlogProof
from ledger_core.log.proof_stamps import check_stamps
from ledger_core.log.record import Record, parse_record
from ledger_core.log.registries import Registries, fork_failure, registry_failure
from ledger_core.log.shapes import SHAPES, Shape, check_body


def verify_bundle(
    bundle: ProofBundle,
    envelope: Envelope | None,
    registries: Registries,
    report: VerificationReport,
    *,
    shapes: Mapping[str, Shape] = SHAPES,
) -> Checkpoint | None:
    """Add to `report` what is wrong with the bundle's checkpoint, records, consistency and envelope.

    What the bundle says of itself can only make it worse: one that says that its verification failed has failed.
    Return the checkpoint if keys that count signed it.
    """
    take_stated(bundle.stated, report)
    if not take_keys(bundle.keys, registries, report):
        return None
    ring, trust = registries.newest, registries.trust
    signed = read_signed(bundle.checkpoint, trust, ring, report)
    if ring is None or signed is None:
        return None
    checkpoint = signed.checkpoint
    proved = _check_consistency(bundle, signed, trust, ring, report)
    if bundle.origin != checkpoint.origin:
        _fail(report, FORKED, None, f"a proof of {bundle.origin} with a checkpoint of {checkpoint.origin}")
    if envelope is not None:
        judgement = ring.judge_envelope(envelope, checkpoint.origin, checkpoint.size, checkpoint.root)
        if envelope.payload_type != PROOF_TYPE:
            _fail(report, BAD_SIGNATURE, None, f"the envelope is of type {envelope.payload_type}")
        elif judgement.verdict is not None and not (judgement.doubtful and signed.counts):
            _fail(report, judgement.verdict, None, judgement.detail)
    for item in bundle.records:
        record = _check_record(item.canonical, item.seq, item.inclusion, checkpoint, report, shapes)
        if record is not None:
            _check_openings(item, record, report)
    check_stamps(bundle, proved, trust.timestamp_roots, report)
    return checkpoint if signed.counts else None


def verify_tlog_proof(
    proof: TlogProof,
    registries: Registries,
    report: VerificationReport,
    *,
    shapes: Mapping[str, Shape] = SHAPES,
) -> Checkpoint | None:
    """Add to `report` what is wrong with a tlog-proof; its `extra` must be the record's bytes."""
    if registries.newest is None and not report.failures:
        _fail(report, UNVERIFIABLE, None, "no key registry came with the proof: put keys.jsonl beside it")
    signed = read_signed(proof.checkpoint, registries.trust, registries.newest, report)
    if signed is None:
        return None
    _conclude(signed, report)
    if not signed.counts:
        return None
    checkpoint = signed.checkpoint
    if proof.extra is None:
        _fail(report, UNVERIFIABLE, proof.index, "the proof carries no record: verify it beside the record's bytes")
        return checkpoint
    _check_record(proof.extra, proof.index, proof.path, checkpoint, report, shapes)
    return checkpoint


def take_keys(keys: Sequence[Envelope], registries: Registries, report: VerificationReport) -> bool:
    """Take in the key registry that came with what is verified; say whether it holds, and in `report` why not."""
    if keys:
        try:
            brought = registries.resolve(keys)
        except CounterfoilError as error:
            report.add(registry_failure(error, report.path))
            return False
        version = registries.forked_version(brought)
        if version is not None:
            report.add(fork_failure(version, report.path))
    elif registries.newest is None:
        _fail(report, UNVERIFIABLE, None, "no key registry came with it, and none lies beside it")
    return True


def take_stated(stated: Stated, report: VerificationReport, *, what: str = "proof") -> None:
    """Add what the maker of a proof or report found; a verdict that is no word of ours counts as a failure."""
    for seq, verdict, detail in stated.failures:
        _fail(
            report,
            verdict if verdict in FAILURES | CANNOT_TELL else FAILED,
            seq,
            f"as the {what} itself says: {detail}",
        )
    if stated.verdict in (None, VERIFIED) or any(item.verdict == stated.verdict for item in report.failures):
        return
    if stated.verdict in CANNOT_TELL:
        _fail(report, stated.verdict, None, f"the {what} says of itself that it cannot tell")
    elif report.exit_status != 1:
        known = stated.verdict if stated.verdict in FAILURES else FAILED
        _fail(report, known, None, f"the {what} says of itself that it is {stated.verdict!r:.80}")


@dataclass(slots=True)
class Signed:
    """A checkpoint with known keys' signatures; `counts` is not yet so where compromised keys alone signed it."""

    checkpoint: Checkpoint
    judgement: Judgement
    counts: bool


def read_signed(text: str, trust: TrustFile, ring: KeyRing | None, report: VerificationReport) -> Signed | None:
    """Return the checkpoint of the note `text` if the ring's keys signed it, or a failure in the report."""
    if ring is None:
        return None
    try:
        note = parse_note(text)
        checkpoint = parse_checkpoint(note.text)
    except CounterfoilError as error:
        _fail(report, EDITED, None, f"the checkpoint: {error}")
        return None
    if not trust.covers(checkpoint.origin):
        _fail(report, UNVERIFIABLE, None, f"the trust file pins nothing for {checkpoint.origin}")
        return None
    judgement = ring.judge_checkpoint(note, checkpoint)
    if judgement.verdict is not None and not judgement.doubtful:
        _fail(report, judgement.verdict, None, f"the checkpoint: {judgement.detail}")
        return None
    return Signed(checkpoint, judgement, counts=judgement.verdict is None)


def _conclude(signed: Signed, report: VerificationReport) -> None:
    """Take a checkpoint that counts into the report, and one that stayed in doubt as a failure."""
    checkpoint, judgement = signed.checkpoint, signed.judgement
    if not signed.counts:
        assert judgement.verdict is not None
        _fail(report, judgement.verdict, None, f"the checkpoint: {judgement.detail}")
        return
    note_signers(report, judgement.signers or judgement.doubtful)
    if checkpoint.origin not in report.origins:
        report.origins.append(checkpoint.origin)
    if report.size is None or checkpoint.size > report.size:
        report.size, report.root = checkpoint.size, encode_base64(checkpoint.root)


def _check_record(
    data: bytes,
    seq: int,
    path: Sequence[bytes],
    checkpoint: Checkpoint,
    report: VerificationReport,
    shapes: Mapping[str, Shape],
) -> Record | None:
    """Check one record's path, place and body; return it if it can be read and its path leads to the root."""
    report.proofs += 1
    if seq >= checkpoint.size:
        _fail(report, UNSIGNED_PENDING, seq, f"the checkpoint covers {checkpoint.size} records")
        return None
    if not verify_inclusion(leaf_hash(data), seq, checkpoint.size, path, checkpoint.root):
        _fail(report, EDITED, seq, "the path does not lead from these bytes to the signed root")
        return None
    try:
        record = parse_record(data)
        if record.seq != seq:
            _fail(report, REORDERED, seq, f"the record in this place says that it is seq {record.seq}")
        if record.book != checkpoint.origin.rpartition("/")[2]:
            _fail(report, FORKED, seq, f"a record of book {record.book} in the log {checkpoint.origin}")
        check_body(record, shapes)
        return record
    except UnknownSchema as error:
        _fail(report, UNKNOWN_SCHEMA, seq, str(error))
    except UnbalancedEntry as error:
        _fail(report, UNBALANCED, seq, str(error))
    except CounterfoilError as error:
        _fail(report, NOT_CANONICAL, seq, str(error))
    return None


def _check_openings(item: ProvedRecord, record: Record, report: VerificationReport) -> None:
    """Hold each private value that is shown against the commitment of its name in the proved record."""
    commitments = record.body.get("commitments", {})
    for name, opening in sorted(item.openings.items()):
        if not opens(commitments.get(name, ""), opening.salt, opening.value):
            _fail(report, EDITED, item.seq, f"the value shown for {name!r:.70} is not the one that was committed to")


def _check_consistency(
    bundle: ProofBundle, main: Signed, trust: TrustFile, ring: KeyRing, report: VerificationReport
) -> list[Consistency]:
    """Prove the other checkpoints' trees and the proof's own of each other, the smaller of each two in the larger.

    What compromised keys signed counts where its tree is so shown to lie in one that counts. Return those that hold.
    """
    others: list[Signed] = []
    proved: list[Consistency] = []
    for item in bundle.consistency:
        other = read_signed(item.checkpoint, trust, ring, report)
        if other is None:
            continue
        small, large = sorted((other.checkpoint, main.checkpoint), key=lambda tree: tree.size)
        if small.origin != large.origin or not verify_consistency(
            small.size, small.root, large.size, large.root, item.path
        ):
            _fail(report, FORKED, None, f"the tree of size {small.size} is no part of that of {large.size}")
        else:
            others.append(other)
            proved.append(item)
    main.counts = main.counts or any(other.counts and other.checkpoint.size >= main.checkpoint.size for other in others)
    _conclude(main, report)
    for other in others:
        other.counts = other.counts or (main.counts and other.checkpoint.size <= main.checkpoint.size)
        _conclude(other, report)
    return proved


def _fail(report: VerificationReport, verdict: str, seq: int | None, detail: str) -> None:
    report.add(Failure(verdict=verdict, seq=seq, where=report.path, detail=detail))
