"""One router a resource; a route is a few lines over a function that knows nothing of HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from api.routers import (
    accounts,
    checkpoints,
    docs,
    entries,
    entry_reads,
    erasures,
    records,
    reports,
    service,
    tiles,
    verify,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    entries.router,
    entry_reads.router,
    accounts.router,
    reports.router,
    verify.router,
    checkpoints.router,
    tiles.router,
    records.router,
    erasures.router,
    webhooks.router,
    service.router,
    docs.router,
)
