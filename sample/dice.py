"""Randomness and identifiers of the sample, both functions of the seed alone.

Only `random.random` is drawn from: Python promises its sequence for a seed across versions, and that of no other
method.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draw numbers; equal seeds give equal sequences."""

    def __init__(self, seed: int) -> None:
        self.unit = Random(seed).random  # noqa: S311 - a sample, not a secret
        """Return a float in [0, 1)."""

    def chance(self, probability: float) -> bool:
        """Tell whether something of this probability happens."""
        return self.unit() < probability

    def below(self, bound: int) -> int:
        """Return an integer from 0 to `bound` - 1."""
        return int(self.unit() * bound)

    def between(self, first: int, last: int) -> int:
        """Return an integer from `first` to `last`, both included."""
        return first + int(self.unit() * (last - first + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of `choices`."""
        return choices[int(self.unit() * len(choices))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return `items` in another order (Fisher and Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result


class Mint:
    """Make identifiers that look like the provider's; no two are equal."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()[:64]
        self._count = 0

    def token(self) -> str:
        """Return 24 letters and digits."""
        self._count += 1
        digest = blake2b(self._count.to_bytes(8, "big"), digest_size=18, key=self._key).digest()
        return b64encode(digest, b"Zz").decode()

    def number(self) -> int:
        """Return a number below ten thousand million."""
        self._count += 1
        digest = blake2b(self._count.to_bytes(8, "big"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") % 10**10

    def id(self, prefix: str) -> str:
        """Return a new identifier such as `txn_8KdB...`."""
        return f"{prefix}_{self.token()}"
