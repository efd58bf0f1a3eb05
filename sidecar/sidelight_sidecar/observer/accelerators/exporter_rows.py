"""What the exporters' rows have in common on their way to devices and samples.

Rules:
1. Figures of one device are gathered first, whatever order its rows come in; of a figure that comes
   twice the last is taken, so rows of several containers of the pod are one device's, never a sum.
2. An instance of a partitioned device is a device of its own. What is told of the whole alone
   (power, energy, clocks, errors) is among the figures of each of its instances, which are marked
   shared for it; the whole is no device of the pod.
3. A figure that cannot be is not told: a ratio above 1, a negative size, what does not fit in 60
   bits (no figure needs them, and a blank has 63 or 64).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sidelight_sidecar.observer.accelerators.exporter_text import Row, Scrape
from sidelight_sidecar.observer.accelerators.source import Device, Sample

MAX_DEVICES = 128
"""Of one pod, instances and wholes; rows of further ones are left out."""
MAX_WORD = 128
"""Bytes of a model's name, or any other word of a label."""
MEBIBYTE = 1 << 20
MOST = 1 << 60
"""See rule 3."""

Figure = Callable[[float], float | None]
"""From the exporter's unit to ours; None: it cannot be."""


class Vendor(Protocol):
    """How one kind of exporter is read."""

    marker: str
    """In the name of each of its metrics."""
    named: str
    """What it is called in sentences."""

    def identity(self, labels: Mapping[str, str]) -> str:
        """Which device a row is of; empty: of none."""
        ...

    def samples(self, scrape: Scrape, at_ns: int) -> list[Sample]:
        """What the pod's devices told, by their order."""
        ...


@dataclass(slots=True)
class Gathered:
    """Figures of one device or instance, by the name of their field in `Sample`."""

    labels: Mapping[str, str]
    sliced: bool = False
    """Its rows say that it is one of several slices."""
    figures: dict[str, Any] = field(default_factory=dict)
    by_part: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures that come in parts (links, dies), by field or field and direction."""


Devices = dict[tuple[str, str], Gathered]
"""By device and instance; without an instance it is the whole."""


def gathered_of(gathered: Devices, key: tuple[str, str], row: Row) -> Gathered | None:
    """Where the figures of a device or instance are; begun with its first row. An instance is begun
    with whatever is told of it: else its whole would pass for a device of the pod's own. None:
    there are too many.
    """
    if key not in gathered:
        if len(gathered) >= MAX_DEVICES:
            return None
        gathered[key] = Gathered(row.labels)
    return gathered[key]


def samples_of(
    gathered: Devices, describe: Callable[[str, str, Gathered], Device], at_ns: int
) -> list[Sample]:
    """By rule 2, in the devices' order; one of which nothing is told has none."""
    partitioned = {device for device, instance in gathered if instance}
    samples = []
    for (device, instance), found in gathered.items():
        if device in partitioned and not instance:
            continue
        carrier = gathered.get((device, "")) if instance else None
        figures = {**carrier.figures, **found.figures} if carrier else found.figures
        if figures:
            samples.append(Sample(describe(device, instance, found), at_ns=at_ns, **figures))
    return sorted(
        samples, key=lambda s: (*_in_order(s.device.index), *_in_order(s.device.instance))
    )


def percent(value: float) -> float | None:
    """0 to 100 as a ratio."""
    return ratio(value / 100)


def ratio(value: float) -> float | None:
    """0 to 1; a rounding above it is 1."""
    return min(value, 1.0) if 0 <= value <= _ROUNDED_UP else None


def scaled(factor: float = 1.0, *, per: float = 1.0) -> Figure:
    """Of a quantity that is never negative; divided by `per`, which is nearer than multiplied."""
    return lambda value: value * factor / per if 0 <= value < MOST else None


def whole(factor: int = 1) -> Callable[[float], int | None]:
    """The same in whole numbers."""
    return lambda value: round(value) * factor if 0 <= value * factor < MOST else None


def total(parts: Mapping[str, float], factor: int = 1) -> int | None:
    """Of a counter that comes in parts."""
    return whole(factor)(sum(parts.values()))


def celsius(value: float) -> float | None:
    """A temperature that silicon can have; an exporter's 0 where there is no sensor is none."""
    return value if value != 0 and _COLDEST <= value <= _HOTTEST else None


def word(labels: Mapping[str, str], *names: str) -> str:
    """The first of the labels that is there and not empty, within bounds."""
    return next((labels[name] for name in names if labels.get(name)), "")[:MAX_WORD]


def _in_order(index: str) -> tuple[int, str]:
    """To sort by: numbers as numbers."""
    return (int(index) if index.isascii() and index.isdigit() else 1 << 30, index)


_ROUNDED_UP = 1.02
_COLDEST, _HOTTEST = -60, 250
