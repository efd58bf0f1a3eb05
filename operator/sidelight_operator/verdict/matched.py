"""The difference between two versions in one minute, on the traffic that both had.

Rules:
1. Like is compared with like: a difference is taken in each stratum, and these are averaged. A
   stratum weighs what it can tell, n*m/(n+m) for n requests here and m there.
2. A figure is matched by what it may depend on and cannot change itself: time to first token not by
   the output's length, errors not by lengths at all, for a request that fails tells none.
3. Where both versions answer as the same model, a model's requests are compared with its own; names
   that one version has alone are one model here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from sidelight_contract.strata import LOG_UNIT, LogSums, Stratum


class Figure(StrEnum):
    """What is compared."""

    TIME_TO_FIRST_TOKEN = "timeToFirstToken"  # noqa: S105 - a figure
    TIME_PER_OUTPUT_TOKEN = "timePerOutputToken"  # noqa: S105 - a figure
    DURATION = "duration"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Side:
    """One version's part of a block."""

    requests: int
    spread: float
    """Sum of squared deviations from the strata's means; of errors, how many there were."""
    freedom: int
    """Degrees of freedom of `spread`; of errors, out of how many requests."""
    share: float
    """Sum over strata of weight^2 / requests: the block's variance is that of one request times
    this."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one minute says about one figure: the candidate's mean less the baseline's, of
    logarithms; of errors, of their shares.
    """

    difference: float
    pairs: float
    """How many pairs of requests tell as much as these, times a half."""
    baseline: Side
    candidate: Side


Values = tuple[int, float, float]
"""How many, their sum, the sum of their squares."""

_Match = Callable[[Stratum, frozenset[str]], object]


def _times(sums: LogSums) -> Values:
    return sums.count, sums.total / LOG_UNIT, sums.squares / LOG_UNIT**2


def _model(row: Stratum, shared: frozenset[str]) -> str:
    return row.model if row.model in shared else ""


_FIGURES: dict[Figure, tuple[_Match, Callable[[Stratum], Values]]] = {
    Figure.TIME_TO_FIRST_TOKEN: (
        lambda row, shared: (_model(row, shared), row.prompt, row.concurrency),
        lambda row: _times(row.time_to_first_token),
    ),
    Figure.TIME_PER_OUTPUT_TOKEN: (
        lambda row, shared: (_model(row, shared), row.prompt, row.output, row.concurrency),
        lambda row: _times(row.time_per_output_token),
    ),
    Figure.DURATION: (
        lambda row, shared: (_model(row, shared), *row.key[1:]),
        lambda row: _times(row.duration),
    ),
    Figure.ERRORS: (
        lambda row, shared: (row.streamed, row.concurrency),  # noqa: ARG005
        lambda row: (row.requests, row.failed, row.failed),
    ),
}


def blocks(baseline: Iterable[Stratum], candidate: Iterable[Stratum]) -> dict[Figure, Block]:
    """What a minute of both says, by figure; a figure that they have no matched traffic for is
    absent.
    """
    mine, theirs = list(baseline), list(candidate)
    shared = frozenset(row.model for row in mine) & frozenset(row.model for row in theirs)
    found = {}
    for figure, (match, values) in _FIGURES.items():
        sides = [_by_stratum(rows, shared, match, values) for rows in (mine, theirs)]
        block = _block(*sides, errors=figure is Figure.ERRORS)
        if block is not None:
            found[figure] = block
    return found


def _by_stratum(
    rows: list[Stratum],
    shared: frozenset[str],
    match: _Match,
    values: Callable[[Stratum], Values],
) -> dict[object, Values]:
    sums: dict[object, Values] = {}
    for row in rows:
        count, total, squares = values(row)
        if count:
            key = match(row, shared)
            n, t, q = sums.get(key, (0, 0.0, 0.0))
            sums[key] = n + count, t + total, q + squares
    return sums


def _block(
    baseline: dict[object, Values], candidate: dict[object, Values], *, errors: bool
) -> Block | None:
    matched = [(baseline[key], candidate[key]) for key in baseline if key in candidate]
    if not matched:
        return None
    weights = [b[0] * c[0] / (b[0] + c[0]) for b, c in matched]
    pairs = sum(weights)
    shares = [weight / pairs for weight in weights]
    difference = sum(
        share * (c[1] / c[0] - b[1] / b[0]) for share, (b, c) in zip(shares, matched, strict=True)
    )
    return Block(
        difference,
        pairs,
        _side([b for b, _ in matched], shares, errors=errors),
        _side([c for _, c in matched], shares, errors=errors),
    )


def _side(values: list[Values], shares: list[float], *, errors: bool) -> Side:
    requests = sum(n for n, _, _ in values)
    share = sum(part * part / n for part, (n, _, _) in zip(shares, values, strict=True))
    if errors:
        return Side(requests, sum(total for _, total, _ in values), requests, share)
    spread = sum(max(0.0, q - t * t / n) for n, t, q in values)
    return Side(requests, spread, requests - len(values), share)
