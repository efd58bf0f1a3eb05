"""`make test-gpu`: the tests against a real device's driver, then what its figures are worth.

Without a GPU: a sentence, exit status 2, and no file.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.gpu.measure import PHASE_SECONDS, Eye, NoGpuError, measure

HERE = Path(__file__).resolve().parent


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=PHASE_SECONDS, help="of each phase")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the result")
    parser.add_argument("--no-tests", action="store_true", help="only measure")
    options = parser.parse_args()
    if "MOCK_NVML_STATE" in os.environ and options.out == HERE:
        parser.error("figures of the tests' library are no result: say where to, by --out")
    eye = Eye()
    try:
        eye.open()
        if not options.no_tests and (status := _tests()):
            return status
        found = measure(eye, options.seconds)
        device = eye.samples[-1].device
    except NoGpuError as error:
        print(f"test-gpu: no GPU can be read here: {error}", file=sys.stderr)
        print("test-gpu: nothing was measured, and no result was written", file=sys.stderr)
        return 2
    finally:
        eye.close()
    today = datetime.now(UTC).date().isoformat()
    head = {
        "date": today,
        "device": device.model,
        "devices": len({sample.device.uuid for sample in eye.samples}),
        **{name: device.facts.get(name, "") for name in ("driver_version", "cuda_version")},
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    name = re.sub("[^a-z0-9]+", "-", device.model.lower()).strip("-")
    out = options.out / f"{today}-{name}.json"
    out.write_text(json.dumps(head | found, indent=1) + "\n", encoding="utf-8")
    print(f"test-gpu: wrote {out}")
    return 0


def _tests() -> int:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", str(HERE)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
