"""The program: reads the model in one of some paths, and prints one line of JSON.

`state` is a `WeightsState` of the contract, `digest` is there when it is `read`. The program is of
the lowest priority and ends itself after `SECONDS`, unless the kernel does not let it.
"""

import argparse
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sidelight_sidecar.weights import SECONDS
from sidelight_sidecar.weights.digest import digest_of
from sidelight_sidecar.weights.layout import (
    NoModelError,
    SeveralModelsError,
    is_ollama_store,
    model_in,
)
from sidelight_sidecar.weights.listing import TooLargeError, files_of
from sidelight_sidecar.weights.safely import LeadsOutError

MEMORY_BYTES = 128 << 20
_STATES: dict[type[Exception], str] = {
    NoModelError: "no_files",
    SeveralModelsError: "several_models",
    LeadsOutError: "link_leads_out",
    TooLargeError: "too_large",
    PermissionError: "not_permitted",
}


def answer(root: Path, paths: list[Path], revision: str) -> dict[str, str | int]:
    """What there is to say of the model in one of `paths`, all of them inside `root`."""
    root = Path(os.path.realpath(root))
    try:
        model = model_in(paths, root, revision)
        found = digest_of(files_of(model, root), root)
    except tuple(_STATES) as error:
        state = next(word for kind, word in _STATES.items() if isinstance(error, kind))
        return {"state": state}
    except OSError as error:
        return {"state": "failed", "error": os.strerror(error.errno or 0)}
    if not (found.weights or (found.files and is_ollama_store(model))):
        return {"state": "no_files"}
    return {"state": "read", "digest": found.word(), "files": found.files}


def _be_modest(name: str) -> None:
    """Lowest priority, for disks as well: where nothing else is said, the kernel goes by this one.
    Not SCHED_IDLE: beside a busy engine it might get no turn while it holds a lock of a folder.
    """
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    signal.alarm(SECONDS)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="sidelight_sidecar.weights")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--revision", default="")
    parser.add_argument("--name", default="sl-wts", help="of the process, at most 15 letters")
    parser.add_argument("paths", type=Path, nargs="+")
    options = parser.parse_args()
    _be_modest(options.name)
    sys.stdout.write(json.dumps(answer(options.root, options.paths, options.revision)) + "\n")


if __name__ == "__main__":
    main()
