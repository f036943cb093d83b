"""A company's days: each shop trades through its account at the provider, then the banks close theirs.

Pure: arguments in, a stream of facts out, day by day. What a shop does is in shop.py, what the banks do in bank.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sample.bank import Banks
from sample.business_days import is_business_day
from sample.dice import Dice, Mint
from sample.model import Fact, Request
from sample.payouts import Amounts, Payouts
from sample.plan import make_plan
from sample.providers import PROVIDERS
from sample.shop import Shop
from sample.trade import Trade


def generate(request: Request) -> Iterator[Fact]:
    """Yield everything that happens to the company, day by day."""
    dice, mint = Dice(request.seed), Mint(request.seed)
    share = replace(request, per_day=max(1, request.per_day // len(request.channels)))
    plans = [make_plan(share, dice, PROVIDERS[channel.provider].currencies) for channel in request.channels]
    first, amounts = plans[0], Amounts(dice)
    banks = Banks(
        dice=dice,
        mint=mint,
        amounts=amounts,
        start=request.start,
        stray_credits=first.stray_credits,
        stray_from=PROVIDERS[request.providers[0]],
        statements=request.statements,
    )
    reported_until = None if request.clean else first.last_day
    shops = [
        Shop(
            plan=plan,
            clean=request.clean,
            dice=dice,
            mint=mint,
            trade=Trade(dice, mint, channel=channel),
            payouts=Payouts(dice=dice, mint=mint, reported_until=reported_until, channel=channel, amounts=amounts),
            banks=banks,
        )
        for channel, plan in zip(request.channels, plans, strict=True)
    ]
    yield from banks.opening_entries(first.days[0])
    for ordinal, day in enumerate(first.days):
        for shop in shops:
            yield from shop.trading_day(ordinal)
        if is_business_day(day):
            yield from banks.book(day)
    day = first.last_day
    while request.clean and (banks.expecting or any(shop.is_settling for shop in shops)):
        day += timedelta(days=1)
        if is_business_day(day):
            for shop in shops:
                yield from shop.close_payouts(day)
            yield from banks.book(day)
