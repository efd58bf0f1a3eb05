"""Feed the observer what nobody should send: `make fuzz`, or `python hack/fuzz.py --seconds 60`.

A violation is shrunk, written to tests/fixtures/crashes (a test replays what is there) and said.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/fuzz"), str(ROOT / "tests/support")]

from fuzzing import Fuzzer, fails, keep_crash, shrink  # noqa: E402 - found by the path above
from target import one_input  # noqa: E402

SAY_EVERY_SECONDS = 10


def replay(path: Path) -> int:
    """One input, with the trace of what fails."""
    try:
        one_input(path.read_bytes())
    except Exception:  # noqa: BLE001 - to be shown
        traceback.print_exc()
        return 1
    print("all holds")
    return 0


def fuzz(seconds: float, seed: int, limit: int, keep_slowest: Path | None) -> int:
    """Try inputs until time or number is up; return how many failed."""
    fuzzer = Fuzzer(seed)
    begun = said = time.monotonic()
    found: dict[str, Path] = {}
    while time.monotonic() - begun < seconds and (not limit or fuzzer.tried < limit):
        data = fuzzer.step()
        if data is not None:
            what = fails(data)
            if what not in found:
                found[what] = path = keep_crash(shrink(data))
                print(f"found: {what}\n  replay: {sys.executable} hack/fuzz.py --replay {path}")
        if time.monotonic() - said > SAY_EVERY_SECONDS:
            said = time.monotonic()
            print(f"{fuzzer.tried} inputs, {len(fuzzer.kept)} kept, {len(found)} found", flush=True)
    spent, slowest = fuzzer.slowest
    print(
        f"{fuzzer.tried} inputs with seed {seed}, {len(found)} violations; the slowest took "
        f"{spent:.2f} s for {len(slowest)} bytes"
    )
    if keep_slowest is not None:
        keep_slowest.write_bytes(slowest)
    return len(found)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="default: the time")
    parser.add_argument("--inputs", type=int, default=0, help="stop after so many")
    parser.add_argument("--slowest", type=Path, metavar="FILE", help="keep the slowest input here")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.replay:
        return replay(options.replay)
    seed = int(time.time()) if options.seed is None else options.seed
    return min(fuzz(options.seconds, seed, options.inputs, options.slowest), 1)


if __name__ == "__main__":
    raise SystemExit(main())
