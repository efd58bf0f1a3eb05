"""Which exchanges are kept as records, and what of their payload.

Rules:
1. What is kept is decided by the outcome, and by metadata alone.
2. Every record says with what probability one like it is kept, so that totals can be estimated.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

MAX_PER_MINUTE = 100_000

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class KeptFor(StrEnum):
    """Why a record was kept."""

    ERROR = "error"
    ABANDONED = "abandoned"
    """Its client left before the answer had ended."""
    SLOW = "slow"
    """It took longer than `slower_than`."""
    SLOWEST = "slowest"
    """It took longer than 99 of 100 of its kind lately."""
    TRUNCATED = "truncated"
    """The answer ended at a limit of length."""
    SAMPLED = "sampled"


class KeepSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Which exchanges become records (`spec.capture.keep`).

    The defaults keep everything while there is little, and a fair sample of much.
    """

    errors: bool = True
    """Those that failed, whosever fault. Default true: they are few, and looked for first."""
    abandoned: bool = True
    """Those whose client left first. Default true, for the same reason."""
    truncated: bool = False
    """Those whose answer ended at a limit of length. Default false: for some users that is most."""
    slowest: bool = True
    """Those slower than 99 % of their kind over the last minutes. Default true."""
    slower_than: Seconds | None = None
    """Seconds from first to last byte. Default none: what is slow depends on the model."""
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Of all others. Default 1: the quota below bounds them."""
    per_minute: Annotated[int, msgspec.Meta(ge=2, le=MAX_PER_MINUTE)] = 600
    """Records a minute and pod: half of them for what is kept for its outcome, half for the share.
    When more comes, fewer of it are kept, and each record's probability says so. Default 600: with
    payloads of 10 kB that is 100 kB/s."""
