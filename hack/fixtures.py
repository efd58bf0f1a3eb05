"""Write `tests/fixtures/frames`: frame files, and what a replay of each must say.

    .venv/bin/python hack/fixtures.py            the written ones (tests/support/scripted.py)
    .venv/bin/python hack/fixtures.py --record   also the recorded ones, from a llama.cpp
    .venv/bin/python hack/fixtures.py --expect   also expected.json: read its diff line by line

Written ones come out the same byte for byte, and a test says so. Recorded ones differ each time:
`--record` is for a new server or a new fixture, and `--expect` goes with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "hack")]

import llama_fixtures  # noqa: E402
import scripted  # noqa: E402

from sidelight_sidecar.frames.file import file_header  # noqa: E402
from sidelight_sidecar.observer.replay import replay  # noqa: E402

FRAMES = ROOT / "tests" / "fixtures" / "frames"
WALL_NS = 1_700_000_000_000_000_000
"""The time of day in every fixture when its clock is at nought."""


def write(name: str, frames: bytes) -> None:
    """One frame file."""
    (FRAMES / f"{name}.frames").write_bytes(file_header(0, WALL_NS) + frames)


def expect() -> None:
    """What replay says of each file now."""
    files = []
    for path in sorted(FRAMES.glob("*.frames")):
        records = [json.loads(str(line)) for line in replay(path, "exchanges")]
        lines = ",\n  ".join(json.dumps(record, sort_keys=True) for record in records)
        files.append(f' "{path.stem}": [\n  {lines}\n ]')
    text = ",\n".join(files)
    (FRAMES / "expected.json").write_text(f"{{\n{text}\n}}\n")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Write tests/fixtures/frames.")
    parser.add_argument("--record", action="store_true", help="record from llama.cpp")
    parser.add_argument("--expect", action="store_true", help="rewrite expected.json")
    options = parser.parse_args()
    FRAMES.mkdir(parents=True, exist_ok=True)
    for name, make in scripted.FIXTURES.items():
        write(name, make().encoded())
    if options.record:
        for name, frames in llama_fixtures.record().items():
            write(name, frames)
    if options.expect:
        expect()


if __name__ == "__main__":
    main()
