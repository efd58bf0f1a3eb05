"""A real Kafka broker, of the jars that hack/kafka.sh fetches: one node, one plain listener for the
test, and for who is tested one with TLS and passwords and one with certificates on both sides.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from real_part import real_part
from tls_world import client_files, new_authority, write_serving

USERS = {"sidelight": "right-secret", "stranger": "stranger-secret"}
"""The second may do nothing."""
CLIENT = "sidelight-client"
"""Name in the certificate of who may do everything, too."""
MAX_MESSAGE_BYTES = 200_000
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Broker:
    """One that can be stopped and started again, with what it had.

    Attributes:
        plain: `host:port` for the test, which may do everything.
        secure: `host:port` with TLS; PLAIN and SCRAM.
        mutual: `host:port` with TLS, for who has a certificate of `ca`.
        ca: the authority of certificates.
        client: certificate and key of who is let in there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = [_port() for _ in range(4)]
        self.plain, self.secure = f"127.0.0.1:{ports[0]}", f"localhost:{ports[1]}"
        self.mutual = f"localhost:{ports[3]}"
        authority = new_authority()
        self.ca = authority.certificate.pem
        self.client = client_files(authority, CLIENT)
        pair = write_serving(folder, authority)
        (folder / "keystore.pem").write_text(pair.key + pair.certificate.pem)
        (folder / "truststore.pem").write_text(self.ca)
        (folder / "server.properties").write_text(_properties(folder, ports))
        self._running: subprocess.Popen[bytes] | None = None
        scram = [
            part
            for name, password in USERS.items()
            for part in ("--add-scram", f"SCRAM-SHA-256=[name={name},password={password}]")
        ]
        self._java(
            "kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER,
            "-c", "server.properties", *scram,
        ).wait(60)  # fmt: skip

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self._running = self._java("kafka.Kafka", "server.properties")
        for address in (self.plain, self.secure, self.mutual):
            self._until_answered(address)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._running is not None:
            self._running.send_signal(how)
            self._running.wait(30)
            self._running = None

    def _until_answered(self, address: str) -> None:
        host, port = address.split(":")
        deadline = time.monotonic() + 90
        while True:
            assert self._running is not None
            assert self._running.poll() is None, (self._folder / "log").read_text()[-3000:]
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()[-3000:]
                time.sleep(0.2)
            else:
                return

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*_JAVA, "-cp", f"{real_part('kafka.sh')}/*", *arguments],
                cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """One that runs."""
    made = Broker(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _properties(folder: Path, ports: list[int]) -> str:
    users = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    plain, scram = (
        f"org.apache.kafka.common.security.{kind}LoginModule required"
        for kind in ("plain.Plain", "scram.Scram")
    )
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{ports[2]}
listeners=PLAIN://127.0.0.1:{ports[0]},SECURE://127.0.0.1:{ports[1]},CONTROLLER://127.0.0.1:{ports[2]},MUTUAL://127.0.0.1:{ports[3]}
advertised.listeners=PLAIN://127.0.0.1:{ports[0]},SECURE://localhost:{ports[1]},CONTROLLER://127.0.0.1:{ports[2]},MUTUAL://localhost:{ports[3]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/keystore.pem
listener.name.mutual.ssl.keystore.type=PEM
listener.name.mutual.ssl.keystore.location={folder}/keystore.pem
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={folder}/truststore.pem
listener.name.mutual.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.secure.plain.sasl.jaas.config={plain} {users};
listener.name.secure.scram-sha-256.sasl.jaas.config={scram};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:sidelight;User:CN={CLIENT}
log.dirs={folder}/data
message.max.bytes={MAX_MESSAGE_BYTES}
auto.create.topics.enable=true
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""
