"""Not ready before everything that there is was seen."""

from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from sidelight_operator.webhook.app import health_app
from sidelight_operator.webhook.certificate import Certificate
from sidelight_operator.webhook.drain import Drain
from sidelight_operator.webhook.readiness import Readiness
from sidelight_operator.webhook.view import ClusterView


class LoadedCertificate(Certificate):
    """A certificate that is there."""

    loaded = True


def test_ready_when_every_listed_model_and_namespace_was_seen(tmp_path: Path) -> None:
    """An incomplete view would let pods through unobserved."""
    view = ClusterView()
    readiness = Readiness(view, LoadedCertificate(tmp_path), Drain(0))
    assert not readiness.ready, "nothing was listed yet"
    readiness.expect({("ml", "chat")}, {"ml"})
    view.namespace_event(None, "ml", {})
    assert not readiness.ready
    view.model_event(None, "ml", "chat", {"selector": "not understood, but seen"})
    assert readiness.ready


def test_it_stays_ready_when_a_model_goes(tmp_path: Path) -> None:
    """Completeness is reached once; what is deleted later is not missing."""
    view = ClusterView()
    readiness = Readiness(view, LoadedCertificate(tmp_path), Drain(0))
    readiness.expect({("ml", "chat")}, set())
    view.model_event(None, "ml", "chat", {})
    assert readiness.ready
    view.model_event("DELETED", "ml", "chat", {})
    assert readiness.ready


def test_not_ready_without_a_certificate(tmp_path: Path) -> None:
    """Every handshake would fail."""
    readiness = Readiness(ClusterView(), Certificate(tmp_path), Drain(0))
    readiness.expect(set(), set())
    assert not readiness.ready


async def test_not_ready_once_it_is_told_to_end(tmp_path: Path) -> None:
    """The Service forgets it while it goes on answering."""
    drain = Drain(600)
    readiness = Readiness(ClusterView(), LoadedCertificate(tmp_path), drain)
    readiness.expect(set(), set())
    assert readiness.ready
    drain.begin()
    assert not readiness.ready
    assert not drain.over.is_set()
    drain.begin()
    assert drain.over.is_set()


async def test_the_probe_and_the_metric_say_the_same(tmp_path: Path) -> None:
    """An alert is made of the metric."""
    readiness = Readiness(ClusterView(), LoadedCertificate(tmp_path), Drain(0))
    app = health_app(CollectorRegistry(), readiness)
    async with TestClient(TestServer(app)) as client:
        for status, value in ((503, "0.0"), (200, "1.0")):
            assert (await client.get("/readyz")).status == status
            text = await (await client.get("/metrics")).text()
            assert f"\nsidelight_webhook_ready {value}\n" in text
            readiness.expect(set(), set())
