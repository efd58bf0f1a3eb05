"""The model of work: what a token costs, fitted to what the devices took.

    energy = idle power * time + a * prefill tokens + b * decode tokens
             + d * decode tokens * context + e * steps of decoding

`e` is what a step costs however many requests are in it (the weights are read once for all), `d`
what longer contexts cost (their cache is read for every token). A step brings each request its next
output. Time at work has no price of its own: a device is at work for prompts or for steps, and a
price for both and for their time could not be told apart. Rules:
1. Least squares over blocks of a second, forgetting: half of it is of the last `HALF_LIFE` blocks.
   Nothing is negative.
2. An outlier counts less (Huber); a block of which energy is not known whole is none.
3. Until `LEAST_BLOCKS` and `LEAST_SECONDS` were seen nothing is fitted.
4. Idle power is what is measured at rest. Where there was no rest it is fitted too, if that can be
   told from the rest (intervals that are partly at work); else it is taken for nothing, and all
   energy for work.
"""

from collections.abc import Sequence
from math import sqrt

from sidelight_contract.gpu import Mean
from sidelight_sidecar.observer.energy.told import Estimate

BLOCK_SECONDS = 1.0
_HAIR = 1e-6
HALF_LIFE = 900
LEAST_BLOCKS = 8
LEAST_SECONDS = 15.0
MOST_IDLE_ERROR = 0.1
"""A fitted idle power that is less sure than that is not believed."""
_FADE = 0.5 ** (1 / HALF_LIFE)
_KINDS = 4
_IDLE = 4
_SIZE = 5
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
        self._blocks = 0
        self._all_seconds = 0.0
        self._noise = 0.0
        """Mean square of what the model was off, in watts."""
        self._block = [0.0] * _KINDS
        self._joules = 0.0
        self._seconds = 0.0
        self._found = [0.0] * _SIZE
        self.joules_each: Work = (0.0, 0.0, 0.0, 0.0)
        """Of each kind of work."""
        self.fitted = False
        self.idle_watts: Estimate | None = None
        """As fitted; None: it cannot be."""
        self.residual = Mean()

    def add(self, joules: float, seconds: float, work: Sequence[float], idle: float | None) -> None:
        """So much was done, and the devices took so much; at rest they take `idle` watts."""
        for index in range(_KINDS):
            self._block[index] += work[index]
        self._joules += joules
        self._seconds += seconds
        if self._seconds > BLOCK_SECONDS - _HAIR:
            self._take([*(done / self._seconds for done in self._block), 1.0], idle)
            self.broken()

    def broken(self) -> None:
        """A block is of one piece."""
        self._block = [0.0] * _KINDS
        self._joules = self._seconds = 0.0

    def _take(self, rates: list[float], idle: float | None) -> None:
        """Learn from one block: mean watts, and work a second."""
        watts, seconds = self._joules / self._seconds, self._seconds
        weight = min(seconds, 10.0)
        if self.fitted:
            off = abs(watts - self._predicted(rates))
            above = abs(watts - self._found[_IDLE])
            self.residual.add(min(1.0, off / max(above, 1e-9)), round(seconds * 1000))
            scale = _HUBER * sqrt(self._noise) if self._noise else off
            if off > scale > 0:
                weight *= scale / off
            self._noise += 0.02 * (min(off, 2 * scale) ** 2 - self._noise)
        for row, rate in zip(self._squares, rates, strict=True):
            for column in range(_SIZE):
                row[column] = row[column] * _FADE + weight * rate * rates[column]
        for index, rate in enumerate(rates):
            self._products[index] = self._products[index] * _FADE + weight * rate * watts
        self._blocks += 1
        self._all_seconds += seconds
        enough = self._blocks >= LEAST_BLOCKS and self._all_seconds > LEAST_SECONDS - _HAIR
        if enough and (not self.fitted or self._blocks % _EVERY == 0):
            self._fit(idle)
            if not self._noise:
                self._noise = (watts - self._predicted(rates)) ** 2 + 1.0

    def _predicted(self, rates: Sequence[float]) -> float:
        return sum(each * rate for each, rate in zip(self._found, rates, strict=True))

    def _fit(self, idle: float | None) -> None:
        self.idle_watts = None
        if idle is not None:
            self._found = self._solved(idle)
        else:
            free = self._solved(None)
            error = self._errors(range(_SIZE)).get(_IDLE, float("inf"))
            if self.fitted and error < MOST_IDLE_ERROR * free[_IDLE]:
                self.idle_watts = Estimate(free[_IDLE], error)
                self._found = free
            else:
                self._found = self._solved(0.0)
        prefill, decode, context, step, _ = self._found
        if any(self._found[:_KINDS]):
            self.joules_each = (prefill, decode, context, step)
            self.fitted = True

    def _solved(self, idle: float | None) -> list[float]:
        """Non-negative least squares by coordinates, with a given idle power or one that is found;
        a slight pull to zero keeps it of one piece where two kinds of work always come together.
        """
        found = list(self._found)
        if idle is not None:
            found[_IDLE] = idle
        for _ in range(_SWEEPS):
            for index in range(_KINDS if idle is not None else _SIZE):
                row = self._squares[index]
                if row[index] <= 0:
                    found[index] = 0.0
                    continue
                rest = sum(row[k] * found[k] for k in range(_SIZE)) - row[index] * found[index]
                best = (self._products[index] - rest) / (row[index] * (1 + _RIDGE))
                found[index] = max(0.0, best)
        return found

    def _errors(self, kinds: Sequence[int]) -> dict[int, float]:
        """Standard errors of what was ever seen."""
        seen = [index for index in kinds if self._squares[index][index] > 0]
        inverse = _inverse([[self._squares[r][c] for c in seen] for r in seen])
        return {
            index: sqrt(max(0.0, inverse[place][place] * self._noise)) if inverse else float("inf")
            for place, index in enumerate(seen)
        }

    def estimates(self) -> list[Estimate | None]:
        """Of each kind of work; None: it was never done, or nothing is fitted yet."""
        if not self.fitted:
            return [None] * _KINDS
        errors = self._errors(range(_KINDS))
        return [
            Estimate(self.joules_each[index], errors[index]) if index in errors else None
            for index in range(_KINDS)
        ]


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
