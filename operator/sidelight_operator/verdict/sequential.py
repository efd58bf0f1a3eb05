"""Which differences the evidence still allows: an interval that may be looked at after every block.

The test is a supermartingale mixed over a Gaussian. For a supposed true difference `x`, S is the
weighted sum of the blocks' d - x and V a bound on what it varies by; then

    E = sqrt(r / (V + r)) * exp(S^2 / (2 * (V + r)))

stays below 1/alpha for ever with a probability of at least 1 - alpha, if x is true (Ville's
inequality; the mixture is that of Robbins 1970). The interval holds every x with E < 1/alpha.

V is the largest of three, so that the bound holds if any of these does:
* the blocks' own squares: enough when a block errs up as easily as down, whatever came before
  (de la Pena 1999, self-normalised; nothing need be known of variances);
* a third of these and two thirds of the variance that requests imply: enough for skewed blocks of
  few requests, and for rare errors (Delyon 2009);
* the variance between batches of blocks, and of each with the next: for blocks that err together
  for some minutes. This one is estimated, so it holds for many batches (as in asymptotic
  confidence sequences).
"""

import math
from dataclasses import dataclass

from sidelight_operator.verdict.evidence import BATCH, Evidence
from sidelight_operator.verdict.matched import Figure

_TIMES_R = 10.0
"""r for logarithms of durations: about V when 5 % to 10 % can be told apart, at a spread of
requests by a third. It decides when the interval is narrowest, not whether it is right."""
_ERRORS_R = 0.5
"""r for shares of errors, at some per cent of them."""
_TIMES_REACH = math.log(30)
_ERRORS_REACH = 1.0
_STEP = 1.15
_STEPS = 80
_HALVINGS = 24


@dataclass(frozen=True, slots=True)
class Interval:
    """The best estimate and the bounds; None where there is no bound yet."""

    effect: float
    low: float | None
    high: float | None


def interval(evidence: Evidence, figure: Figure, alpha: float) -> Interval | None:
    """What the true difference may be, wrong at any time with a probability of at most `alpha`;
    None without evidence.
    """
    if not evidence.w:
        return None
    effect = evidence.wd / evidence.w
    return Interval(
        effect,
        _bound(evidence, figure, alpha, effect, -1),
        _bound(evidence, figure, alpha, effect, +1),
    )


def excluded(evidence: Evidence, figure: Figure, alpha: float, supposed: float) -> bool:
    """Whether the evidence speaks against `supposed` as the true difference."""
    r = _ERRORS_R if figure is Figure.ERRORS else _TIMES_R
    total = evidence.wd - supposed * evidence.w
    spread = _variation(evidence, figure, supposed) + r
    return total * total > 2 * spread * (math.log(1 / alpha) + math.log(spread / r) / 2)


def _bound(
    evidence: Evidence, figure: Figure, alpha: float, effect: float, direction: int
) -> float | None:
    """The outermost difference that is not excluded; None when the outermost of all is not."""
    reach = _ERRORS_REACH if figure is Figure.ERRORS else _TIMES_REACH
    inner, outer = 0.0, reach
    for step in range(_STEPS):
        distance = reach / _STEP**step
        if not excluded(evidence, figure, alpha, effect + direction * distance):
            if step == 0:
                return None
            inner = distance
            break
        outer = distance
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        if excluded(evidence, figure, alpha, effect + direction * middle):
            outer = middle
        else:
            inner = middle
    return effect + direction * outer


def _variation(evidence: Evidence, figure: Figure, supposed: float) -> float:
    squares = evidence.wwdd - 2 * supposed * evidence.wwd + supposed * supposed * evidence.ww
    squares = max(squares, 0.0)
    implied = _implied(evidence, figure, supposed)
    return max(squares, (squares + 2 * implied) / 3, _between_batches(evidence))


def _implied(evidence: Evidence, figure: Figure, supposed: float) -> float:
    """The variance that single requests imply."""
    if figure is Figure.ERRORS:
        low, high = _shares_of_errors(evidence, supposed)
        return (
            low * (1 - low) * evidence.baseline_share + high * (1 - high) * evidence.candidate_share
        )
    # With few requests, as if one with a spread of an e-fold had been seen.
    mine = (evidence.baseline_spread + 1) / (evidence.baseline_freedom + 1)
    theirs = (evidence.candidate_spread + 1) / (evidence.candidate_freedom + 1)
    return mine * evidence.baseline_share + theirs * evidence.candidate_share


def _shares_of_errors(evidence: Evidence, supposed: float) -> tuple[float, float]:
    """The likeliest shares of errors, were the difference the supposed one: no errors yet is no
    proof that there are none.
    """
    errors = evidence.baseline_spread + evidence.candidate_spread
    requests = evidence.baseline_freedom + evidence.candidate_freedom
    share = (errors - supposed * evidence.candidate_freedom + 0.5) / (requests + 1)
    share = min(max(share, 0.0, -supposed), 1.0, 1.0 - supposed)
    return share, min(max(share + supposed, 0.0), 1.0)


def _between_batches(evidence: Evidence) -> float:
    """What the blocks vary by when batches are taken as a whole, and each with the next: what lasts
    longer than a batch shows in both.
    """
    batches = evidence.batches
    if batches < 2:
        return 0.0
    effect = evidence.wd / evidence.w
    squares = (
        evidence.batch_wwdd - 2 * effect * evidence.batch_wwd + effect * effect * evidence.batch_ww
    )
    products = evidence.next_wwdd - effect * evidence.next_wwd + effect * effect * evidence.next_ww
    squares = max(squares, 0.0) * batches / (batches - 1)
    # The mean is taken from the same batches, which makes neighbours look more unlike.
    together = max(products + squares / batches, 0.0)
    return (squares + 2 * together) * evidence.blocks / (batches * BATCH)
