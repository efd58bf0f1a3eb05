"""The processes of a control plane, stopped and started again, and etcd's data put back.

Of any that `hack/cluster` started, whose process ids lie in its folder: `control-plane.sh` or the
built-in cluster. A program is started again with its own command line.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

END_SECONDS = 20.0
API, ETCD = "kube-apiserver", "etcd"


class ControlPlane:
    """One of them, by its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopped: dict[str, list[str]] = {}

    def stop(self, name: str) -> None:
        """Kill it: an orderly stop of the API server waits a minute for open watches."""
        pid = int((self._folder / "pid" / name).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        assert any(str(self._folder) in word for word in command), f"{name} does not run"
        self._stopped[name] = command
        os.kill(pid, signal.SIGKILL if name == API else signal.SIGTERM)
        _until(lambda: not _runs(pid, self._folder), END_SECONDS, f"the end of {name}")

    def start(self, name: str) -> None:
        """Start again what was stopped, as nobody's child: it outlives who starts it."""
        pid = self._folder / "pid" / name
        pid.unlink()
        adopted = 'echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"'
        with (self._folder / "log" / f"{name}.log").open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", "sh", "-c", adopted, str(pid), *self._stopped.pop(name)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
            )  # fmt: skip
        _until(pid.exists, END_SECONDS, f"{name} started")

    def start_all(self) -> None:
        """Whatever was stopped; etcd first."""
        for name in sorted(self._stopped):
            self.start(name)

    def copy_etcd(self) -> Path:
        """A copy of etcd's data, as of now; both are stopped meanwhile."""
        copy = self._folder / "etcd.before"
        self.stop(API)
        self.stop(ETCD)
        shutil.copytree(self._folder / "etcd", copy)
        self.start_all()
        return copy

    def restore_etcd(self, copy: Path) -> None:
        """Put it back, as an administrator does who restores a snapshot and bumps no revision."""
        self.stop(API)
        self.stop(ETCD)
        shutil.rmtree(self._folder / "etcd")
        shutil.copytree(copy, self._folder / "etcd")
        self.start_all()


def _runs(pid: int, folder: Path) -> bool:
    """A zombie has no command line."""
    try:
        return str(folder) in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
