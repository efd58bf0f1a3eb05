"""Strata of versions whose times are known."""

import math
import random

from sidelight_contract.strata import Stratum, key_of


def some(
    requests: int,
    *,
    seed: int = 0,
    token: float = 0.02,
    failed: int = 0,
    model: str = "m",
    prompt: int | None = 300,
    output: int | None = 100,
    concurrency: int = 2,
    spread: float = 0.1,
) -> Stratum:
    """So many requests of one stratum, all streamed, which take about as long as `token` says."""
    dice = random.Random(seed)
    key = key_of(model, prompt, output, streamed=True, concurrency=concurrency)
    row = Stratum(*key, requests=requests, failed=failed)
    for _ in range(requests - failed):
        seconds = token * math.exp(dice.gauss(0, spread))
        row.time_to_first_token.take(0.2 * math.exp(dice.gauss(0, spread)))
        row.time_per_output_token.take(seconds)
        row.duration.take(0.2 + 100 * seconds)
    return row
