"""A small dcgm-exporter: serves a recorded scrape with an energy counter that runs. It is read as a
text into a pod of the cluster tests, where there is nothing but Python.

    small_exporter.py SCRAPE PORT

`POST /xid/79` makes 79 the last XID of the first device, as the driver would.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{"
XID = 'DCGM_FI_DEV_XID_ERRORS{gpu="0"'
WATTS = 512


class Exporter(BaseHTTPRequestHandler):
    """Answers as dcgm-exporter does, as far as it is asked here."""

    lines: tuple[str, ...] = ()
    xid = "0"
    began = time.monotonic()

    def do_GET(self) -> None:
        """The scrape."""
        body = "".join(f"{self.now(line)}\n" for line in self.lines).encode()
        self.answer(200 if self.path == "/metrics" else 404, body)

    def do_POST(self) -> None:
        """The driver reports an error."""
        type(self).xid = self.path.rpartition("/")[2]
        self.answer(200, b"")

    def now(self, line: str) -> str:
        """A line of the scrape, as it is by now."""
        labels, _, value = line.rpartition(" ")
        if line.startswith(ENERGY):
            joules = (time.monotonic() - self.began) * WATTS
            return f"{labels} {int(value) + round(joules * 1000)}"
        return f"{labels} {self.xid}" if line.startswith(XID) else line

    def answer(self, status: int, body: bytes) -> None:
        """One whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Exporter.lines = tuple(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())
    ThreadingHTTPServer(("", int(sys.argv[2])), Exporter).serve_forever()
