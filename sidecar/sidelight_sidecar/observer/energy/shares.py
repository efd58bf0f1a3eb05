"""Shares out whole millijoules so that nothing is lost. Pure."""

from collections.abc import Sequence


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """Parts of `total`, in proportion to `weights`, that add up to it exactly.

    Each is within one of its exact part: what rounding took from one the next one gets. The weights
    are none of them negative, and not all zero.
    """
    whole = sum(weights)
    parts: list[int] = []
    done, weight = 0, 0.0
    for one in weights:
        weight += one
        given = min(total, round(total * (weight / whole)))
        parts.append(given - done)
        done = given
    if done != total:  # the sum of floats, taken again, is not quite itself
        parts[max(range(len(parts)), key=weights.__getitem__)] += total - done
    return parts
