"""The model of work: what a token costs, fitted to what the devices took.

    energy above idle = a * prefill tokens + b * decode tokens + d * decode tokens * context
                        + e * steps of decoding

`e` is what a step costs however many requests are in it (the weights are read once for all), `d`
what longer contexts cost (their cache is read for every token). Each step brings every request a
token: there were as many as the request with most tokens got. Time as such has no price: a device
is at work for prompts or for steps, and a price for both and for their time could not be told
apart. Rules:
1. Least squares over blocks of a second, forgetting: half of it is of the last `HALF_LIFE` blocks.
   None is negative.
2. An outlier counts less (Huber); a block of which energy is not known whole is none.
3. Until `LEAST_BLOCKS` were seen nothing is fitted.
"""

from collections.abc import Sequence
from math import sqrt

from sidelight_contract.gpu import Mean
from sidelight_sidecar.observer.energy.told import Estimate

BLOCK_SECONDS = 1.0
_HAIR = 1e-6
HALF_LIFE = 900
LEAST_BLOCKS = 15
_FADE = 0.5 ** (1 / HALF_LIFE)
_SIZE = 4
_RIDGE = 1e-4
_SWEEPS = 60
_HUBER = 2.5
_EVERY = 5
"""Blocks from one fit to the next."""

Work = tuple[float, float, float, float]
"""Prefill tokens, decode tokens, decode tokens times thousands of context, steps."""


class WorkModel:
    """See the module."""

    def __init__(self) -> None:
        self._squares = [[0.0] * _SIZE for _ in range(_SIZE)]
        self._products = [0.0] * _SIZE
        self._weight = 0.0
        self._blocks = 0
        self._noise = 0.0
        """Mean square of what the model was off, in watts."""
        self._block = [0.0] * _SIZE
        self._joules = 0.0
        self._seconds = 0.0
        self.joules_each: Work = (0.0, 0.0, 0.0, 0.0)
        """Of each kind of work."""
        self.fitted = False
        self.residual = Mean()

    def add(self, joules: float, seconds: float, work: Sequence[float]) -> None:
        """So much was done, and it took so much above idle."""
        block = self._block
        for index in range(_SIZE):
            block[index] += work[index]
        self._joules += joules
        self._seconds += seconds
        if self._seconds > BLOCK_SECONDS - _HAIR:
            self._take([done / self._seconds for done in block])
            self.broken()

    def broken(self) -> None:
        """A block is of one piece."""
        self._block = [0.0] * _SIZE
        self._joules = self._seconds = 0.0

    def _take(self, rates: list[float]) -> None:
        """Learn from one block: mean watts, and work a second."""
        watts, seconds = self._joules / self._seconds, self._seconds
        weight = min(seconds, 10.0)
        if self.fitted:
            off = abs(watts - self._predicted(rates))
            self.residual.add(min(1.0, off / max(abs(watts), 1e-9)), round(seconds * 1000))
            scale = _HUBER * sqrt(self._noise) if self._noise else off
            if off > scale > 0:
                weight *= scale / off
            self._noise += 0.02 * (min(off, 2 * scale) ** 2 - self._noise)
        for row, rate in zip(self._squares, rates, strict=True):
            for column in range(_SIZE):
                row[column] = row[column] * _FADE + weight * rate * rates[column]
        for index, rate in enumerate(rates):
            self._products[index] = self._products[index] * _FADE + weight * rate * watts
        self._weight = self._weight * _FADE + weight
        self._blocks += 1
        if self._blocks >= LEAST_BLOCKS and self._blocks % _EVERY == 0:
            self._fit()
            if not self._noise:
                self._noise = (watts - self._predicted(rates)) ** 2 + 1.0

    def _predicted(self, rates: Sequence[float]) -> float:
        return sum(each * rate for each, rate in zip(self.joules_each, rates, strict=True))

    def _fit(self) -> None:
        """Non-negative least squares by coordinates; a slight pull to zero keeps it of one piece
        where two kinds of work always come together.
        """
        found = list(self.joules_each) if self.fitted else [0.0] * _SIZE
        for _ in range(_SWEEPS):
            for index, row in enumerate(self._squares):
                if row[index] <= 0:
                    found[index] = 0.0
                    continue
                rest = sum(row[k] * found[k] for k in range(_SIZE)) - row[index] * found[index]
                best = (self._products[index] - rest) / (row[index] * (1 + _RIDGE))
                found[index] = max(0.0, best)
        if any(found):
            self.joules_each = (found[0], found[1], found[2], found[3])
            self.fitted = True

    def estimates(self) -> list[Estimate | None]:
        """Of each kind of work; None: it was never done, or nothing is fitted yet."""
        if not self.fitted:
            return [None] * _SIZE
        seen = [index for index in range(_SIZE) if self._squares[index][index] > 0]
        inverse = _inverse([[self._squares[r][c] for c in seen] for r in seen])
        told: list[Estimate | None] = [None] * _SIZE
        for place, index in enumerate(seen):
            variance = inverse[place][place] * self._noise if inverse else float("inf")
            told[index] = Estimate(self.joules_each[index], sqrt(max(0.0, variance)))
        return told


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Of a small symmetric one, with the same slight ridge; empty: it has none."""
    size = len(matrix)
    rows = [
        [value * (1 + _RIDGE * (r == c)) for c, value in enumerate(row)]
        + [float(r == c) for c in range(size)]
        for r, row in enumerate(matrix)
    ]
    for pivot in range(size):
        head = rows[pivot][pivot]
        if head <= 0:
            return []
        rows[pivot] = [value / head for value in rows[pivot]]
        for other in range(size):
            if other != pivot and rows[other][pivot]:
                factor = rows[other][pivot]
                rows[other] = [
                    a - factor * b for a, b in zip(rows[other], rows[pivot], strict=True)
                ]
    return [row[size:] for row in rows]
