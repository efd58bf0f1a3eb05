"""A whole sidecar, an exporter on this machine, and what the sidecar shows of the devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from gpu_sidecar import Sidecar, running
from prometheus import until
from small_exporter import Exporter

from sidelight_contract.gpu import GpuSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SCRAPE = Path(__file__).parents[1] / "fixtures/exporters/dcgm-plain.prom"
NAMESPACE, POD = "llm", "llama-0"


class Node:
    """The exporter, and who came to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    @property
    def told(self) -> str:
        """As the controller tells of it."""
        return f"dcgm=127.0.0.1:{self.port}"


@pytest.fixture
def node() -> Iterator[Node]:
    """An exporter with four devices, of which two are the pod's."""

    class Counting(Exporter):
        lines = tuple(SCRAPE.read_text().splitlines())

        def do_GET(self) -> None:  # noqa: N802 - as the server calls it
            found.asked.append(self.path)
            super().do_GET()

        def log_message(self, *said: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        found = Node(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join(30)


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sidecar:
    """Of a pod that the exporter knows."""
    monkeypatch.setenv("SIDELIGHT_POD_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("SIDELIGHT_POD_NAME", POD)
    return Sidecar(tmp_path)


def test_exporter_that_the_controller_tells_of_is_read(node: Node, ports: Sidecar) -> None:
    """By who has the token alone; the rows of this pod come to metrics and summary, with states
    once there are two samples; and the sidecar does its other work.
    """
    ports.configure(GpuSettings(), "one")
    with running(ports):
        assert ports.summary(node.told, token="wrong") is None
        told = ports.summary("dcgm=localhost:1")
        assert told is not None
        assert told.gpu.sidecars == 0
        until(lambda: ports.metric("sidelight_gpu_told_refused_total") == {"": 1}, "it is counted")
        assert node.asked == []
        until(
            lambda: (told := ports.summary(node.told)) and told.gpu.devices,
            "devices in the summary",
        )
        assert set(node.asked) == {"/metrics"}
        ports.ask()
        told = until(
            lambda: (told := ports.summary(node.told)) and told.gpu.states_ms and told,
            "two samples make an interval",
        )
        assert told.gpu.devices == {"NVIDIA H100 80GB HBM3": 2}
        assert (told.gpu.seen, told.gpu.sources) == (1, {"DCGM": 1})
        assert told.gpu.power_watts.value == pytest.approx(512.345, abs=0.01)
        assert told.gpu.energy.device_mj > 0
        assert told.gpu.energy_level == "version"
        assert told.gpu.faults == []
        assert sum(part.requests for part in told.total) >= 1
        watts = ports.metric("sidelight_gpu_power_watts")
        assert watts == dict.fromkeys("01", pytest.approx(512.345))
        assert sum(ports.metric("sidelight_gpu_state_seconds_total").values()) > 0
        assert ports.metric("sidelight_gpu_energy_unaccounted_joules") == {"": 0}


def test_with_none_nobody_is_asked_until_the_configuration_says_so(
    node: Node, ports: Sidecar
) -> None:
    """The option tells where the exporter is, and the configuration whether it is read."""
    ports.configure(GpuSettings("None"), "none")
    with running(ports, "--accelerators", node.told):
        told = until(
            lambda: (told := ports.summary()) and told.sidecar.config_revision == "none" and told,
            "the configuration is in force",
        )
        ports.ask()
        assert told.gpu.sidecars == 0
        assert ports.metric("sidelight_gpu_source_up") == {}
        assert node.asked == []
        ports.configure(GpuSettings("DCGM"), "dcgm")
        until(lambda: ports.metric("sidelight_gpu_power_watts"), "it is read")
        ports.configure(GpuSettings("None"), "none again")
        until(lambda: not ports.metric("sidelight_gpu_power_watts"), "and not any more")


def test_option_takes_no_name() -> None:
    """It is refused where the command is written."""
    from sidelight_sidecar.cli import main  # noqa: PLC0415

    with pytest.raises(SystemExit):
        main(["run", "--listen", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--admin",
              "127.0.0.1:3", "--accelerators", "dcgm=exporter:9400"])  # fmt: skip
