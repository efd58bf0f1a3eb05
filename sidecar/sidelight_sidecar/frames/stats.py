"""What a `T` frame says: one JSON object of the relay's counters, cumulative since its start.

All are integers but `held`, a list: how many reads were held no longer than each of
`HELD_BOUNDS_NS` and longer than the one before, and last how many longer than all. A read is held
from the `recv` that returned its bytes to the end of the `send` of the last of them.
"""

HELD_BOUNDS_NS = (
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
)
"""10 us is a send on loopback; a client that does not read makes it seconds."""
HELD_SAMPLE = 17
"""Of frames with reads that were written at once, one in so many is measured and counts for so
many: a prime, so that it is not always the same one of a number of streams. Every read that had to
wait is measured, observed or not.
"""
