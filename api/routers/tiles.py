"""The log as C2SP tlog-tiles: what a monitor polls, at `/finance/log/{book}/` as the prefix.

The checkpoint and the hashes are open to everybody where the setting `api.public_log` says so: they tell how much was
recorded and nothing of what, since every record holds an id that nobody can guess. Records (`tile/entries`) are never
served without a token. Invariant: what is answered for a path never changes, so that it may
be kept for ever; an error and the checkpoint are of their moment.
"""

from __future__ import annotations

import gzip
from typing import Annotated

from fastapi import Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from api.auth.guard import LogMonitor, LogReader
from api.http.heads import takes_gzip
from api.log_tiles import TilePath as ParsedPath
from api.log_tiles import parse_entries_path, parse_tile_path, read_tile_bytes
from api.openapi import router_of
from api.state import ApiState, State
from ledger_core.errors import NotFound
from ledger_core.reading.heads import latest_checkpoint, read_head

router = router_of("log")

LogBook = Annotated[str, Path(description="The book.", examples=["main"])]
TilePath = Annotated[str, Path(description="Level and number, as C2SP tlog-tiles writes them.", examples=["0/000.p/3"])]
BundlePath = Annotated[str, Path(description="Number, as C2SP tlog-tiles writes it.", examples=["000.p/3"])]

FOR_EVER = "max-age=31536000, immutable"
GZIP_LEVEL = 5
"""Of a bundle of 256 entries 4 ms and a third of the bytes; the levels above take longer for a hundredth less."""


@router.get("/finance/log/{book}/checkpoint", response_class=PlainTextResponse, summary="The log: checkpoint")
async def get_log_checkpoint(_actor: LogMonitor, state: State, book: LogBook) -> Response:
    """Return the newest signed note. Open without a token where the installation's log is public."""
    async with state.monitors.place():
        return await run_in_threadpool(_checkpoint, state, book)


@router.get("/finance/log/{book}/tile/entries/{path:path}", response_class=Response, summary="The log: records")
async def get_log_entries(
    request: Request, _actor: LogReader, state: State, book: LogBook, path: BundlePath
) -> Response:
    """Return a bundle of records (`000`, `x001/234.p/8`), each after its length in two bytes, the greater one first."""
    wanted = ", ".join(request.headers.getlist("accept-encoding"))
    async with state.bundles.place():
        return await run_in_threadpool(_entries, state, book, parse_entries_path(path), takes_gzip(wanted))


@router.get("/finance/log/{book}/tile/{path:path}", response_class=Response, summary="The log: tiles")
async def get_log_tile(_actor: LogMonitor, state: State, book: LogBook, path: TilePath) -> Response:
    """Return a tile of hashes (`0/x001/234`, `1/000.p/8`). Open without a token where the log is public."""
    async with state.monitors.place():
        return await run_in_threadpool(_tile, state, book, parse_tile_path(path))


def _checkpoint(state: ApiState, book: str) -> Response:
    with state.reading() as connection:
        read_head(connection, book)
        found = latest_checkpoint(connection, book)
    if found is None:
        raise NotFound(f"nothing of book {book} is signed yet.", remedy="Ask again later.")
    kept = "public, max-age=1" if state.settings.api.public_log else "no-store"
    return PlainTextResponse(found.note, headers={"cache-control": kept})


def _tile(state: ApiState, book: str, tile: ParsedPath) -> Response:
    with state.reading() as connection:
        data = read_tile_bytes(connection, book, tile, read_head(connection, book).signed_size)
    kept = "public" if state.settings.api.public_log else "private"
    return _binary(data, {"cache-control": f"{kept}, {FOR_EVER}"})


def _entries(state: ApiState, book: str, tile: ParsedPath, compress: bool) -> Response:
    with state.reading() as connection:
        data = read_tile_bytes(connection, book, tile, read_head(connection, book).signed_size)
    headers = {"cache-control": f"private, {FOR_EVER}", "vary": "accept-encoding"}
    if compress:
        data = gzip.compress(data, GZIP_LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
    return _binary(data, headers)


def _binary(data: bytes, headers: dict[str, str]) -> Response:
    return Response(data, media_type="application/octet-stream", headers=headers)
