"""From the rounds of the capture benchmark to its table and its targets. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.targets import Target

Rounds = Sequence[dict[str, "Round"]]


@dataclass(frozen=True)
class Round:
    """One way in one round."""

    relay_us: float
    """Processor time of the relay for each chunk."""
    rest_us: float
    """Of observer and capture process."""
    observer_us: float
    """Of the observer alone."""
    rss_mb: float
    """Most that all of them held."""
    pss_mb: float
    broken: int
    not_observed: int
    sent: int
    recorded: int
    shipped: int
    dropped: int

    def document(self) -> dict[str, float]:
        """As JSON has it."""
        return asdict(self)


def middle(rounds: Rounds, way: str, name: str) -> float:
    """The median of a figure."""
    return median(float(getattr(found[way], name)) for found in rounds)


def ratio(rounds: Rounds, way: str, name: str) -> float:
    """The median of its ratios to the sidecar without capture."""
    return median(getattr(found[way], name) / getattr(found["sidecar"], name) for found in rounds)


def total(rounds: Rounds, way: str, name: str) -> int:
    """The sum of a count."""
    return sum(int(getattr(found[way], name)) for found in rounds)


def targets_of(rounds: Rounds) -> list[Target]:
    """What issue and README promise of capture."""
    lost = total(rounds, "capture", "sent") - total(rounds, "capture", "shipped")
    return [
        Target("relay, CPU per chunk, capturing", "x without", 1.05,
               ratio(rounds, "capture", "relay_us")),
        Target("relay, CPU per chunk, sink down", "x without", 1.05,
               ratio(rounds, "capture-sink-down", "relay_us")),
        Target("observer and capture process, CPU per chunk", "x observer's", 1.6,
               ratio(rounds, "capture", "rest_us")),
        Target("memory (RSS), sink down for the whole run", " MB", 120,
               max(found["capture-sink-down"].rss_mb for found in rounds)),
        Target("records lost, healthy sink", "", 0, lost),
    ]  # fmt: skip


def lines_of(ways: Sequence[str], rounds: Rounds, targets: Sequence[Target]) -> Iterator[str]:
    """The tables, in Markdown."""
    titles = (
        "way", "relay us/chunk", "of without", "rest us/chunk", "of without",
        "of which observer", "RSS MB", "PSS MB",
        "records", "shipped", "dropped", "broken", "not observed",
    )  # fmt: skip
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for way in ways:
        counts = [total(rounds, way, name) for name in
                  ("recorded", "shipped", "dropped", "broken", "not_observed")]  # fmt: skip
        figures = [
            f"{middle(rounds, way, 'relay_us'):.1f}", f"{ratio(rounds, way, 'relay_us'):.2f}",
            f"{middle(rounds, way, 'rest_us'):.1f}", f"{ratio(rounds, way, 'rest_us'):.2f}",
            f"{middle(rounds, way, 'observer_us'):.1f}",
            f"{middle(rounds, way, 'rss_mb'):.0f}", f"{middle(rounds, way, 'pss_mb'):.0f}",
        ]  # fmt: skip
        yield f"| {' | '.join([way, *figures, *map(str, counts)])} |"
    yield ""
    yield "| target | wanted | measured | |"
    yield "|---|---|---|---|"
    for line in targets:
        cells = [line.figure, f"{line.limit}{line.unit}", f"{line.measured:.3g}", line.verdict()]
        yield f"| {' | '.join(cells)} |"
