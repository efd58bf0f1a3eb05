"""A process that is killed while it writes: whatever it had let wait is there, as it was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from sidelight_sidecar.capture.spool.disk import DiskSpool

ROOT = Path(__file__).resolve().parents[2]
READERS = ("kafka", "s3")
LIMIT = 64 << 20
SPOOLS = """
import os, sys
from pathlib import Path
from sidelight_sidecar.capture.spool.disk import DiskSpool

spool = DiskSpool(Path(sys.argv[1]), ("kafka", "s3"), 64 << 20)
number = int(sys.argv[2])
while True:
    assert spool.append(b"%d " % number + b"x" * (number * 7919 % 5000), float(number))
    os.write(1, b"%d\\n" % number)
    number += 1
    if number % 5 == 0:
        (entry,) = spool.read("kafka", most=1, most_bytes=1)
        spool.done("kafka", entry.number)
        os.write(1, b"done %d\\n" % int(entry.record.split()[0]))
"""
"""Says each number once it waits, and each that a reader was done with."""


def killed(directory: Path, first: int, after: int) -> list[str]:
    """What a process said that was killed, wherever it was, once it had said so many lines."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'sidecar'}:{ROOT / 'contract'}"}
    command = [sys.executable, "-c", SPOOLS, str(directory), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        rest = process.stdout.read()
    said = "".join(lines) + rest
    return said[: said.rfind("\n")].split("\n")


def test_nothing_that_waited_is_lost_or_changed_by_a_kill(tmp_path: Path):
    """Ten in a row, into one directory: for a reader that was never done, all is there; for one
    that was, what is behind the last that it had said.
    """
    chance = random.Random(4711)
    first = 0
    for _ in range(10):
        said = killed(tmp_path, first, chance.randrange(1, 80))
        waited = [int(line) for line in said if not line.startswith("done")]
        done = [int(line.split()[1]) for line in said if line.startswith("done")]
        spool = DiskSpool(tmp_path, READERS, LIMIT)
        found = [entry.record for entry in spool.read("s3", most=10**6, most_bytes=10**9)]
        assert found == [b"%d " % n + b"x" * (n * 7919 % 5000) for n in range(len(found))]
        assert waited[-1] + 1 <= len(found) <= waited[-1] + 2, "one may have waited unsaid"
        left = spool.read("kafka", most=1, most_bytes=1)
        if done and left:
            next_one = int(left[0].record.split()[0])
            assert done[-1] + 1 <= next_one <= done[-1] + 2
        spool.close()
        first = len(found)
    assert first > 100
