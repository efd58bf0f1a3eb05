"""How fast masking is on one core: `python -m benchmarks.redaction.speed [--output FILE]`.

Texts of 1 MB without findings (lines in which something is found are left out), one with a finding
in each kilobyte, and a thousand short ones. Beside it, over the same bytes in the same round: one
RE2 pass for one pattern, zlib at its fastest, SHA-256, and detect-secrets where it can be imported
(it looks for secrets alone, line by line, with its default detectors).

Figures are megabytes of UTF-8 a second of the process's own processor time: the median over the
rounds, in which the ways take turns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.machine import machine
from benchmarks.quiet import NOISY, Others
from benchmarks.redaction.prose import PROSE
from benchmarks.ways import ROOT

from sidelight_sidecar.capture.mask.scan import compiled
from sidelight_sidecar.capture.mask.text import TextMasker

SIZE_BYTES = 1_000_000
SLOW_WAY_BYTES = 50_000  # what takes seconds for a megabyte gets a part of it
ROUNDS = 7
TARGET_MB_PER_SECOND = 20
MASKER = TextMasker()
_SCRIPTS = {
    "Latin with accents": (0xC0, 0x17F),
    "Greek, Cyrillic": (0x370, 0x4FF),
    "Arabic, Hebrew": (0x590, 0x6FF),
    "Indian, Thai": (0x900, 0xE7F),
    "Chinese, Japanese, Korean": (0x3040, 0x9FFF),
}
Way = Callable[[list[str], list[bytes]], object]


@dataclass(frozen=True, slots=True)
class Text:
    """What is masked: one text, or many short ones."""

    name: str
    texts: list[str]
    has_findings: bool = False

    def encoded(self) -> list[bytes]:
        """Return the same as UTF-8."""
        return [text.encode() for text in self.texts]


def _clean(lines: list[str]) -> str:
    """Leave out lines in which something is found, and repeat the rest to the size."""
    kept = "".join(f"{line}\n" for line in lines if not MASKER.findings(line))
    text = (kept * (SIZE_BYTES // len(kept.encode()) + 1))[:SIZE_BYTES]
    return text if not MASKER.findings(text) else text.replace("@", " ")


def _lines(*patterns: str) -> list[str]:
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return [line for path in paths for line in path.read_text().splitlines()]


def _written_in(first: int, last: int) -> list[str]:
    """Return the corpus's prose that has letters of a script."""
    return [text for text in PROSE if any(first <= ord(sign) <= last for sign in text)]


def _telemetry(random: Random) -> list[str]:
    return [
        json.dumps({
            "id": f"req-{random.getrandbits(64):016x}",
            "time": f"2026-11-24T{random.randrange(24):02d}:{random.randrange(60):02d}:07.123456Z",
            "seconds": random.random(),
            "tokens": random.randrange(5000),
            "bytes": random.randrange(10**8),
            "nanoseconds": 1_764_000_000_000_000_000 + random.randrange(10**15),
        })
        for _ in range(4000)
    ]  # fmt: skip


def texts() -> list[Text]:
    """Return what is measured, the same each time."""
    random = Random(1)
    prose = _clean(_lines("docs/*.md"))
    chats = [prose[place : place + 400] for place in range(0, 400_000, 400)]
    found = [f"{prose[place : place + 1000]} kim@example.com " for place in range(0, 900_000, 1000)]
    return [
        Text("English prose, Markdown", [prose]),
        *(
            Text(f"prose: {name}", [_clean(_written_in(*ranges))])
            for name, ranges in _SCRIPTS.items()
        ),
        Text("Python", [_clean(_lines("sidecar/**/*.py"))]),
        Text("JSON with numbers and times", [_clean(_telemetry(random))]),
        Text("base64", [b64encode(random.randbytes(SIZE_BYTES * 3 // 4)).decode()]),
        Text("a thousand of 400 bytes", chats),
        Text("with an address in each KB", ["".join(found)], has_findings=True),
    ]


def ways() -> dict[str, Way]:
    """Return what is measured over each text."""
    pattern = compiled(rb"[a-z0-9._-]+@[a-z0-9-]+\.[a-z]{2,}")
    result: dict[str, Way] = {
        "masking": lambda texts, _: [MASKER.mask(text) for text in texts],
        "one RE2 pass": lambda _, raw: [list(pattern.finditer(data)) for data in raw],
        "zlib, level 1": lambda _, raw: [zlib.compress(data, 1) for data in raw],
        "SHA-256": lambda _, raw: [hashlib.sha256(data).digest() for data in raw],
    }
    if find_spec("detect_secrets"):
        # Here, and not above: it is no dependency.
        from detect_secrets.core.scan import scan_line  # type: ignore[import-not-found]  # noqa: PLC0415
        from detect_secrets.settings import default_settings  # type: ignore[import-not-found]  # noqa: PLC0415

        def detect(texts: list[str], _: list[bytes]) -> object:
            lines = "".join(texts).encode()[:SLOW_WAY_BYTES].decode(errors="ignore").splitlines()
            with default_settings():
                return [secret for line in lines for secret in scan_line(line)]

        result["detect-secrets"] = detect
    return result


def measure() -> list[dict[str, object]]:
    """Return, for each text, the speed of each way in every round."""
    everything, all_ways = texts(), ways()
    rows: list[dict[str, object]] = []
    for text in everything:
        found = sum(len(MASKER.findings(one)) for one in text.texts)
        if bool(found) != text.has_findings:
            raise SystemExit(f"{text.name}: {found} findings")
        raw = text.encoded()
        size = sum(map(len, raw))
        speeds: dict[str, list[float]] = {way: [] for way in all_ways}
        for number in range(ROUNDS):
            names = list(all_ways)
            for way in names[number % len(names) :] + names[: number % len(names)]:
                begun = time.process_time()
                all_ways[way](text.texts, raw)
                seconds = time.process_time() - begun
                done = min(size, SLOW_WAY_BYTES) if way == "detect-secrets" else size
                speeds[way].append(done / seconds / 1e6)
        rows.append({"text": text.name, "bytes": size, "findings": found, "mb_per_second": speeds})
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Return the medians as a table."""
    names = list(rows[0]["mb_per_second"])  # type: ignore[call-overload]
    lines = ["| MB/s of processor time | " + " | ".join(names) + " | masking / zlib |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for row in rows:
        medians = {way: median(all_) for way, all_ in row["mb_per_second"].items()}  # type: ignore[attr-defined]
        cells = [
            f"{medians[way]:.1f}" if medians[way] < 100 else f"{medians[way]:.0f}" for way in names
        ]
        ratio = medians["masking"] / medians["zlib, level 1"]
        lines.append(f"| {row['text']} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, and say whether the target was reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction.speed")
    parser.add_argument("--output", type=Path, help="a JSON file with every round")
    options = parser.parse_args()
    others = Others()
    facts, rows = machine([]), measure()
    noise = others.share_of_a_core()
    clean = [row for row in rows if not row["findings"]]
    slowest = min(median(row["mb_per_second"]["masking"]) for row in clean)  # type: ignore[index]
    print(table(rows))
    reached = slowest >= TARGET_MB_PER_SECOND
    print(
        f"\ntarget: {TARGET_MB_PER_SECOND} MB/s on one core without findings; the slowest text "
        f"{slowest:.1f}: {'reached' if reached else 'MISSED'}"
    )
    if noise > NOISY:
        print(f"speed: NOISY: other programs used {noise:.0%} of a core", file=sys.stderr)
    if options.output:
        document = {
            "machine": {**facts, "command": "python -m benchmarks.redaction.speed"},
            "others_share_of_a_core": round(noise, 3),
            "target_mb_per_second": TARGET_MB_PER_SECOND,
            "slowest_mb_per_second": round(slowest, 1),
            "rows": rows,
        }
        options.output.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
