"""Read the Prometheus text of an exporter as it comes, and keep the rows that name this pod.

A node's exporter tells of all devices of all pods, in up to many megabytes. Rules:
1. Fed with pieces of any size, split anywhere: what comes out is the same. The work for a piece is
   in proportion to it, and what is kept between pieces is less than one line.
2. A row's labels are parsed once a scrape: all metrics of a device repeat them, byte for byte.
3. Strict: a line that is not whole, not of the format, too long, or without a finite number is
   counted and left out; nothing in it raises. A last line that no newline ends may be cut within
   its number, so it is left out, too.
4. A pod is named by `pod` and `namespace`; in the exporter's old mode by `pod_name` and
   `pod_namespace`; where a scraper stands between and renamed them, by `exported_pod` and
   `exported_namespace`. Rows of one of these spellings are kept, the first that occurs: an exporter
   that copies the labels of pods into its rows (dcgm-exporter's `--kubernetes-enable-pod-labels`
   does it without a prefix) lets any pod write the others.
5. Of the rows of other pods only the devices are remembered, to know which are shared.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_TEXT_BYTES: Final = 32 << 20
"""An exporter of an 8-GPU node answers 100 kB; with pods' labels and 48 time slices some 20 MB."""
MAX_LINE_BYTES: Final = 16 << 10
"""A row of dcgm-exporter is 350 bytes long, with a hundred labels of its pod 12 kB."""
MAX_ROWS: Final = 16_384
"""Of one pod: 128 devices of a hundred metrics."""
MAX_LABEL_SETS: Final = 4096
"""Distinct sets of labels that are remembered in a scrape."""
MAX_LABEL_BYTES: Final = 4 << 20
"""Of them together, and once more for rows of this pod beyond."""
MAX_OTHERS: Final = 1024
"""Devices of other pods; a node has at most 16 devices of 7 instances."""

SPELLINGS: Final = (
    ("pod", "namespace"),
    ("pod_name", "pod_namespace"),
    ("exported_pod", "exported_namespace"),
)
_LABEL = re.compile(
    rb'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t]*+(?:,|\Z)'
)
_BLOCK = re.compile(rb'\{((?:[^"}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+)\}')
"""All labels; possessive, as all patterns here: no line makes them go back and try again."""
_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,4})?")
_ESCAPE = re.compile(rb"\\(.)")
_ESCAPED = {b"n": b"\n", b"\\": b"\\", b'"': b'"'}

Identity = Callable[[Mapping[str, str]], str]
"""Which device a row is of, by its labels; empty: of none."""


class Row(NamedTuple):
    """One value of one device."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Scrape:
    """What one answer came to."""

    rows: list[Row] = field(default_factory=list)
    """Of this pod, in their order; the same row may come twice."""
    others: set[str] = field(default_factory=set)
    """Devices that rows of other pods name."""
    crowded: bool = False
    """There were more of those, or more sets of labels, than are remembered: any device may be
    shared."""
    known: bool = False
    """It has metrics of the kind that was asked for."""
    truncated: bool = False
    """It is longer than `MAX_TEXT_BYTES`; the rest was not read."""
    refused: int = 0
    """Lines that broke rule 3, of this pod where that could be seen."""
    dropped: int = 0
    """Rows of this pod past `MAX_ROWS` or twice `MAX_LABEL_BYTES`."""

    def shared(self, device: str) -> bool:
        """Whether other pods have the device, too, as far as is known."""
        return self.crowded or device in self.others


class _Mine(NamedTuple):
    """A set of labels that names this pod, in one of the spellings."""

    spelling: int
    labels: Mapping[str, str]


class ExporterText:
    """One answer, read as it comes.

    Args:
        namespace, pod: whose rows are kept.
        identity: tells devices apart.
        marker: what the name of any metric of the exporter has in it, such as `DCGM_`.
    """

    def __init__(self, namespace: str, pod: str, identity: Identity, marker: str) -> None:
        self._namespace = namespace
        self._pod = pod
        self._pod_bytes = pod.encode()
        self._identity = identity
        self._marker = marker.encode()
        self._rest = b""  # of the last line, never longer than MAX_LINE_BYTES
        self._skipping = False  # the line is too long: up to its end
        self._bytes = 0
        self._seen: dict[bytes, _Mine | None] = {}
        self._label_bytes = 0
        self._found: list[tuple[int, Row]] = []  # by spelling
        self._scrape = Scrape()

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._scrape.truncated:
            return
        self._bytes += len(piece)
        if self._bytes > MAX_TEXT_BYTES:
            self._scrape.truncated = True
            self._rest = b""
            return
        first, *lines = piece.split(b"\n")
        if not lines:
            self._keep(first)
            return
        if not self._skipping:
            self._line(self._rest + first)
        self._rest = b""
        self._skipping = False
        for line in lines[:-1]:
            self._line(line)
        self._keep(lines[-1])

    def finish(self) -> Scrape:
        """What it came to; nothing is fed after it."""
        scrape = self._scrape
        if self._rest and not self._rest.startswith(b"#"):
            scrape.refused += 1
        best = min((spelling for spelling, _ in self._found), default=0)
        scrape.rows = [row for spelling, row in self._found if spelling == best]
        return scrape

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(part) > MAX_LINE_BYTES:
            self._too_long(self._rest)
            self._rest = b""
            self._skipping = True
            return
        self._rest += part

    def _too_long(self, start: bytes) -> None:
        self._scrape.refused += not start.startswith(b"#")

    def _line(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            self._too_long(line)
            return
        if not line or line.startswith(b"#"):
            return
        start = line.find(b"{")
        if start < 0:
            return  # without labels: it is of no pod
        if not self._scrape.known and self._marker in line[:start]:
            self._scrape.known = True
        if b"pod" not in line:
            return
        block = _BLOCK.match(line, start)
        if block is None:
            self._scrape.refused += self._pod_bytes in line
            return
        key = block[1]
        mine = self._seen[key] if key in self._seen else self._learn(key)
        if mine is not None:
            self._row(line[:start], mine, line[block.end() :])

    def _learn(self, key: bytes) -> _Mine | None:
        """Look at a set of labels for the first time, and remember what it is."""
        full = len(self._seen) >= MAX_LABEL_SETS or self._label_bytes >= MAX_LABEL_BYTES
        if full:
            self._scrape.crowded = True
            if self._pod_bytes not in key:
                return None
        labels = _labels(key)
        if labels is None:
            self._scrape.refused += self._pod_bytes in key
            return None
        mine = self._whose(labels)
        if mine is None and _names_a_pod(labels):
            self._remember(self._identity(labels))
        if not full:
            self._seen[key] = mine
        elif mine and self._label_bytes >= 2 * MAX_LABEL_BYTES:
            self._scrape.dropped += 1
            return None
        if mine or not full:
            self._label_bytes += len(key)
        return mine

    def _whose(self, labels: Mapping[str, str]) -> _Mine | None:
        for spelling, (pod, namespace) in enumerate(SPELLINGS):
            if labels.get(pod) == self._pod and labels.get(namespace) == self._namespace:
                return _Mine(spelling, labels)
        return None

    def _remember(self, device: str) -> None:
        if not device or device in self._scrape.others:
            return
        if len(self._scrape.others) >= MAX_OTHERS:
            self._scrape.crowded = True
            return
        self._scrape.others.add(device)

    def _row(self, name: bytes, mine: _Mine, rest: bytes) -> None:
        name = name.strip(b" \t")
        value = _value(rest)
        if value is None or not _NAME.fullmatch(name):
            self._scrape.refused += 1
        elif len(self._found) >= MAX_ROWS:
            self._scrape.dropped += 1
        else:
            self._found.append((mine.spelling, Row(name.decode(), mine.labels, value)))


def _names_a_pod(labels: Mapping[str, str]) -> bool:
    return any(labels.get(pod) for pod, _ in SPELLINGS)


def _labels(block: bytes) -> dict[str, str] | None:
    """What is between the braces; a name that comes twice has its last value. None: not labels."""
    labels = {}
    position = 0
    while position < len(block):
        label = _LABEL.match(block, position)
        if label is None:
            return None
        name, value = label.groups()
        if b"\\" in value:
            value = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), value)
        labels[name.decode()] = value.decode(errors="replace")
        position = label.end()
    return labels


def _value(rest: bytes) -> float | None:
    """The number after the labels; a time or an exemplar may follow. None: there is none that is
    finite.
    """
    parts = rest.split(None, 2)
    if not parts or not _NUMBER.fullmatch(parts[0]):
        return None
    if len(parts) > 1 and not (parts[1] == b"#" or _NUMBER.fullmatch(parts[1])):
        return None
    value = float(parts[0])
    return value if math.isfinite(value) else None
