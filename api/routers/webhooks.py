"""Webhooks: bytes in, stored before they are answered. The signature of the provider is the credential; there is no
token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import read_raw
from api.http.problems import ApiProblem
from api.openapi import router_of
from api.state import ApiState, state_of
from ingest.inbox.port import MAX_BODY_BYTES, Provider
from ingest.inbox.receive import Received, Receiver
from ledger_core.errors import CannotRun, DeliveryRefused, IntegrityError

router = router_of("webhooks")
ProviderName = Annotated[str, Path(description="`stripe`, `adyen` or `paypal`.", examples=["stripe"])]
AccountName = Annotated[str, Path(description="The account at the provider.", examples=["default"])]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What the provider sends, byte for byte as it signed it; at most 256 KiB.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "Stored, now or before."}}


@router.post(
    "/finance/webhooks/{provider}",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra=_BODY,
    summary="Take a webhook of the default account",
)
async def take_webhook(request: Request, provider: ProviderName) -> Response:
    """Take a delivery for the account that the installation names by default."""
    return await _take(request, provider, state_of(request).settings.ingest.provider_account)


@router.post(
    "/finance/webhooks/{provider}/{account}",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra=_BODY,
    summary="Take a webhook of an account",
)
async def take_account_webhook(request: Request, provider: ProviderName, account: AccountName) -> Response:
    """Take a delivery for one account at a provider: verified on its bytes, stored once, answered."""
    return await _take(request, provider, account)


async def _take(request: Request, name: str, account: str) -> Response:
    state = state_of(request)
    receiver = state.receiver
    assert receiver is not None, "made by the lifespan"
    try:
        provider = receiver.provider(name)
        received = await _received(request, receiver, provider, account)
    except DeliveryRefused as error:
        _count_refusal(state, name, error.reason)
        raise
    except ApiProblem as error:
        _count_refusal(state, name, error.code)
        raise
    except (CannotRun, IntegrityError):
        _count_refusal(state, name, "unavailable")
        raise
    for outcome, events in (("new", received.new), ("known", received.events - received.new)):
        state.metrics.webhooks_received.labels(provider.name, outcome).inc(events)
    return Response(received.reply.content, media_type=received.reply.media_type)


async def _received(request: Request, receiver: Receiver, provider: Provider, account: str) -> Received:
    body = await read_raw(request, max_bytes=MAX_BODY_BYTES, media_types=provider.media_types)
    # Where two headers have one name no provider meant it; none is a signature then.
    headers = {key: value for key, value in request.headers.items() if len(request.headers.getlist(key)) == 1}
    async with state_of(request).deliveries.place():
        return await run_in_threadpool(receiver.receive, provider, account, headers, body)


def _count_refusal(state: ApiState, name: str, reason: str) -> None:
    assert state.receiver is not None, "made by the lifespan"
    # Strangers choose the name: only ours become a label.
    state.metrics.webhooks_refused.labels(name if name in state.receiver.names else "unknown", reason).inc()
