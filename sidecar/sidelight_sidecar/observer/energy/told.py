"""What is told of energy: a request's share, the totals, and the fitted model of work."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from sidelight_contract.gpu import Energy, Mean


class Outcome(StrEnum):
    """How an exchange ended that has a share: what its joules were good for."""

    COMPLETE = "complete"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """Its client left before the end."""
    LOST = "lost"
    """It was lost sight of: the share is of what was seen."""
    RUNNING = "running"
    """It has not ended, or is not settled whole."""


class Quality(StrEnum):
    """How good a share is."""

    NONE = "none"
    """There is none: no samples, or too sparse ones, or a shared device."""
    PROVISIONAL = "provisional"
    """By what is known so far: others that ran beside it have not been counted yet."""
    SETTLED = "settled"
    """It does not change any more."""


class Share:
    """One request's part of the devices' energy. It hangs on `Exchange.energy` and grows up with
    it: whoever keeps it sees it settle.
    """

    __slots__ = ("millijoules", "quality")

    def __init__(self) -> None:
        self.quality = Quality.NONE
        self.millijoules = 0
        """As far as it is known; 0 with `Quality.NONE`."""

    @property
    def joules(self) -> float | None:
        """Above idle; None: there is no share of a single request."""
        return self.millijoules / 1000 if self.quality is not Quality.NONE else None


class Settled(NamedTuple):
    """What a listener is told of an exchange whose share does not change any more."""

    model: str
    """Its label."""
    operation: str
    outcome: Outcome
    share: Share
    prompt_tokens: float
    """Computed, as far as samples cover its time."""
    output_tokens: float


class Estimate(NamedTuple):
    """A fitted figure and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """The model of work: what fits the last minutes best. None: not known yet."""

    idle_watts: Estimate | None = None
    """Of all devices, without work."""
    prefill_joules: Estimate | None = None
    """For each token of a prompt."""
    decode_joules: Estimate | None = None
    """For each token of output."""
    context_joules: Estimate | None = None
    """For each token of output, and each thousand of tokens before it."""
    step_joules: Estimate | None = None
    """For each step of decoding, however many requests are in it."""


@dataclass(slots=True)
class Told:
    """All of it, at one time."""

    total: Energy = field(default_factory=Energy)
    by_model: dict[str, Energy] = field(default_factory=dict)
    """By the label `model`: `requests_mj`, tokens and requests; the rest is in `total` alone."""
    by_outcome: dict[str, int] = field(default_factory=dict)
    """Millijoules of requests, by `Outcome`; what they add up to is `total.requests_mj`."""
    level: Literal["", "request", "version"] = ""
    integrated: bool = False
    """Some of it is power over time, for want of a counter."""
    residual: Mean = field(default_factory=Mean)
    """How far the model was off intervals' energy above idle, as a share of it; weighed by time."""
    fitted: Fitted = field(default_factory=Fitted)
    unbalanced_mj: int = 0
    """The devices' energy less all its parts, checked at every step: 0, or there is a mistake."""
    uncovered_seconds: float = 0.0
    """Time between samples whose energy nobody knows: a counter began anew, or a gap."""
