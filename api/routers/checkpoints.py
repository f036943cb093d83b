"""What a reader needs to hold the log to its word: checkpoints, consistency, keys. The log itself: `tiles.py`."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from api.auth.guard import LogReader
from api.http.answers import json_answer
from api.openapi import router_of
from api.schemas.log import Checkpoint, Consistency, Keys
from api.state import Book, State
from ledger_core.errors import InvalidInput, NotFound
from ledger_core.log.merkle import consistency_path
from ledger_core.reading.heads import checkpoint_at, latest_checkpoint, read_head
from ledger_core.reading.tiles import node_reader

router = router_of("log")

FromSize = Annotated[int, Path(ge=0, le=2**53, description="A number of records.", examples=[1])]
ToSize = Annotated[int, Path(ge=0, le=2**53, description="A number of records, no smaller.", examples=[3])]


@router.get("/finance/checkpoints/latest", response_model=Checkpoint, summary="Read the newest checkpoint")
def get_latest_checkpoint(_actor: LogReader, state: State, book: Book) -> Response:
    """Return the newest signed checkpoint. Only the note counts; the other members repeat it."""
    with state.reading() as connection:
        head = read_head(connection, book)
        found = latest_checkpoint(connection, book)
    if found is None:
        raise NotFound(f"nothing of book {book} is signed yet.")
    document = {
        "book": book,
        "origin": head.origin,
        "size": found.size,
        "root": b64encode(found.root).decode(),
        "checkpoint": found.note,
    }
    return json_answer(document)


@router.get(
    "/finance/checkpoints/{from_size}/consistency/{to_size}",
    response_model=Consistency,
    summary="Prove that the log only grew",
)
def get_consistency(_actor: LogReader, state: State, book: Book, from_size: FromSize, to_size: ToSize) -> Response:
    """Return the RFC 6962 proof that the log at one size is a prefix of the log at another."""
    if from_size > to_size:
        raise InvalidInput(f"{from_size} is larger than {to_size}: the log only grows.")
    with state.reading() as connection:
        head = read_head(connection, book)
        if to_size > head.signed_size:
            raise NotFound(f"the signed log of book {book} has {head.signed_size:,} records, not {to_size:,}.")
        before = checkpoint_at(connection, book, from_size)
        after = checkpoint_at(connection, book, to_size)
        # Of the empty log everything is a continuation: RFC 6962 defines no proof from size 0, an empty one is enough.
        path = consistency_path(from_size, to_size, node_reader(connection, book, to_size)) if from_size else []
    document = {
        "book": book,
        "from_size": from_size,
        "to_size": to_size,
        "from_checkpoint": before.note if before else None,
        "to_checkpoint": after.note if after else None,
        "proof": [b64encode(node).decode() for node in path],
    }
    return json_answer(document)


@router.get("/finance/keys", response_model=Keys, summary="Read the key registry")
def get_keys(_actor: LogReader, state: State) -> Response:
    """Return the registry's DSSE envelopes. Trust comes from the roots that you pinned, never from this answer."""
    assert state.runtime is not None
    return json_answer({"keys": state.runtime.signer.keys()})
