"""Sidelight's own objects, in a Kubernetes in memory that does server-side apply."""

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidelight_operator.certificates.read import Pair, read_bundle, read_pair
from sidelight_operator.controller.installation import Installation
from sidelight_operator.controller.metrics import Metrics
from sidelight_operator.controller.own_objects import OwnObjects
from sidelight_operator.controller.webhook_configuration import (
    NAMESPACE_LIMIT,
    wanted_selector,
)
from sidelight_operator.kube import ConflictError, Json, KubeError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HERE = Installation("sidelight-system", "sidelight")


class Kube:
    """Versions, apply and faults; the chart's objects are there, and empty."""

    def __init__(self) -> None:
        entry = {"name": "inject.sidelight.dev", "clientConfig": {"service": {}}}
        self.configuration: Json | None = {
            "metadata": {"name": "sidelight", "resourceVersion": "1"},
            "webhooks": [{**entry, "namespaceSelector": {}}],
        }
        self.secrets: dict[str, Json] = {}
        for name in (HERE.authority_secret, HERE.serving_secret, HERE.key_secret):
            metadata = {"name": name, "namespace": HERE.namespace, "resourceVersion": "1"}
            self.secrets[name] = {"metadata": metadata}
        self.models = [model("ml")]
        self.events: list[Json] = []
        self.writes: list[str] = []
        self.fault: Callable[[str], KubeError | None] = lambda _: None

    def _do(self, what: str) -> None:
        if what.startswith("apply"):
            self.writes.append(what)
        if (error := self.fault(what)) is not None:
            raise error

    async def list_models(self) -> list[Json]:
        self._do("list models")
        return self.models

    async def get_secret(self, namespace: str, name: str) -> Json | None:
        assert namespace == HERE.namespace, "no other namespace's Secrets are read"
        self._do(f"get {name}")
        return copy.deepcopy(self.secrets.get(name))

    async def apply_secret(self, namespace: str, body: Json) -> Json:
        name = body["metadata"]["name"]
        self._do(f"apply {name}")
        found = self.secrets.setdefault(name, {"metadata": {"resourceVersion": "0"}})
        _bump(found, body)
        found["metadata"] |= {"name": name, "namespace": namespace, "uid": "u"}
        found["data"] = body["data"]
        return copy.deepcopy(found)

    async def get_webhook_configuration(self, name: str) -> Json | None:
        assert name == HERE.name
        return copy.deepcopy(self.configuration)

    async def apply_webhook_configuration(self, body: Json) -> Json:
        self._do("apply configuration")
        assert self.configuration is not None
        _bump(self.configuration, body)
        (entry,), (change,) = self.configuration["webhooks"], body["webhooks"]
        assert entry["name"] == change["name"]
        assert change.keys() <= {"name", "clientConfig", "namespaceSelector"}
        entry["clientConfig"] |= change.get("clientConfig", {})
        entry["namespaceSelector"] = change.get("namespaceSelector", entry["namespaceSelector"])
        return copy.deepcopy(self.configuration)

    async def create_event(self, namespace: str, body: Json) -> None:
        assert namespace == HERE.namespace
        self.events.append(body)

    @property
    def entry(self) -> Json:
        assert self.configuration is not None
        found: Json = self.configuration["webhooks"][0]
        return found

    @property
    def bundle(self) -> str:
        return base64.b64decode(self.entry["clientConfig"].get("caBundle", "")).decode()

    def pair(self, name: str, kind: str) -> Pair | None:
        data = self.secrets[name].get("data", {})
        text = [base64.b64decode(data.get(f"{kind}.{part}", "")) for part in ("crt", "key")]
        return read_pair(text[0].decode(), text[1].decode())


def _bump(found: Json, body: Json) -> None:
    version = found["metadata"]["resourceVersion"]
    if body["metadata"].get("resourceVersion", version) != version:
        raise ConflictError("PATCH", "409 changed in the meantime", 409)
    found["metadata"]["resourceVersion"] = str(int(version) + 1)


def model(namespace: str) -> Json:
    return {"metadata": {"namespace": namespace, "name": "chat"}}


class World:
    """A controller's own-objects part, with a clock."""

    def __init__(self, installation: Installation = HERE) -> None:
        self.kube = Kube()
        self.now = NOW
        self.installation = installation
        self.restart()

    def restart(self) -> None:
        self.metrics = Metrics()
        self.own = OwnObjects(
            self.kube, self.installation, clock=lambda: self.now, metrics=self.metrics
        )

    def served(self) -> bool:
        """Whether what the webhook mounts is trusted."""
        pair = self.kube.pair(HERE.serving_secret, "tls")
        known = read_bundle(self.kube.bundle)
        return pair is not None and any(pair.certificate.issued_by(one) for one in known)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def test_the_first_look_puts_everything_in_order() -> None:
    """Bundle before certificate, so that no pod serves what is not trusted; then the namespaces."""
    world = World()
    assert not world.own.kept
    assert await world.own.look()
    assert world.own.kept
    assert world.served()
    assert world.kube.writes == [
        "apply sidelight-summary-key", "apply sidelight-webhook-authority", "apply configuration",
        "apply sidelight-webhook-certificate", "apply configuration",
    ]  # fmt: skip
    assert world.kube.entry["namespaceSelector"] == wanted_selector({"ml"})
    assert [e["reason"] for e in world.kube.events] == ["AuthorityRenewed", "CertificateRenewed"]


async def test_looking_again_writes_nothing() -> None:
    """Nor does a controller that was restarted."""
    world = World()
    await world.own.look()
    world.kube.writes.clear()
    await world.own.look()
    world.restart()
    assert await world.own.look()
    assert world.kube.writes == []


async def test_namespaces_follow_the_models() -> None:
    """The API server asks about none when there is no ObservedModel."""
    world = World()
    await world.own.look()
    world.kube.models = [model("ml"), model("a"), model("a")]
    await world.own.look()
    assert world.kube.entry["namespaceSelector"]["matchExpressions"][0]["values"] == ["a", "ml"]
    world.kube.models = []
    await world.own.look()
    (expression,) = world.kube.entry["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"}


def test_the_selector_is_bounded() -> None:
    """With more namespaces than that, all are asked about."""
    many = {f"n{number}" for number in range(NAMESPACE_LIMIT + 1)}
    assert wanted_selector(many)["matchExpressions"][0]["operator"] == "Exists"
    some = sorted(many)[:NAMESPACE_LIMIT]
    assert wanted_selector(some)["matchExpressions"][0]["values"] == some


async def test_what_helm_or_a_person_took_back_is_put_back() -> None:
    """An upgrade from a chart that rendered the fields, or an edit."""
    world = World()
    await world.own.look()
    before = copy.deepcopy(world.kube.entry)
    world.kube.entry["namespaceSelector"] = {}
    del world.kube.entry["clientConfig"]["caBundle"]
    await world.own.look()
    assert world.kube.entry == before


@pytest.mark.parametrize("damage", ["missing", "no entry"])
async def test_a_missing_configuration_is_said_and_the_rest_goes_on(damage: str) -> None:
    """It is never made here: the chart owns it. The tokens do not wait for it."""
    world = World()
    assert world.kube.configuration is not None
    if damage == "missing":
        world.kube.configuration = None
    else:
        world.kube.configuration["webhooks"] = []
    assert not await world.own.look()
    assert not world.own.kept
    assert world.kube.writes == ["apply sidelight-summary-key"]
    assert world.value("sidelight_controller_errors_total", error="Admission") == 1


@pytest.mark.parametrize("at", range(1, 6))
async def test_a_controller_killed_at_any_write_leaves_nothing_untrusted(at: int) -> None:
    """The next one goes on from there."""
    world = World()
    count = 0

    def killed(what: str) -> KubeError | None:
        nonlocal count
        count += what.startswith("apply")
        return KubeError(what, "the process ended", 0) if count >= at else None

    world.kube.fault = killed
    await world.own.look()
    assert world.kube.pair(HERE.serving_secret, "tls") is None or world.served()
    world.kube.fault = lambda _: None
    world.restart()
    assert await world.own.look()
    assert world.served()


async def test_a_rotation_of_the_authority_never_leaves_the_served_certificate_untrusted() -> None:
    """Two years, a look each six hours and a restart now and then; what was served stays trusted
    for a day after it was replaced.
    """
    world = World()
    await world.own.look()
    authorities, served = set(), [(NOW, world.kube.pair(HERE.serving_secret, "tls"))]
    for number in range(2 * 365 * 4):
        world.now += timedelta(hours=6)
        if number % 37 == 0:
            world.restart()
            await world.own.look()
            world.now += timedelta(minutes=1)
        assert await world.own.look()
        pair = world.kube.pair(HERE.serving_secret, "tls")
        if pair != served[-1][1]:
            served.append((world.now, pair))
        assert world.served()
        known = read_bundle(world.kube.bundle)
        for _, old in served[:-1]:
            replaced = next(since for since, new in served if new is not old and since > _)
            if world.now - replaced < timedelta(hours=23):
                assert old is not None
                assert any(old.certificate.issued_by(one) for one in known)
        assert len(known) <= 2
        authorities |= {one.fingerprint for one in known}
    assert len(authorities) >= 3, "the authority was rotated"
    assert len(served) >= 10, "and so was the certificate"


async def test_expiry_is_a_metric() -> None:
    """Of both."""
    world = World()
    await world.own.look()
    for name, days in (("authority", 365), ("serving", 90)):
        value = world.value("sidelight_certificate_expiry_timestamp_seconds", certificate=name)
        assert value == (NOW + timedelta(days=days)).timestamp()


async def test_another_controllers_write_is_not_overwritten() -> None:
    """Two of them, as when a node is cut off: the later one finds a conflict and looks again."""
    world = World()
    real = world.kube.get_secret

    async def stale(namespace: str, name: str) -> Json | None:
        found = await real(namespace, name)
        if name == HERE.authority_secret:
            world.kube.secrets[name]["metadata"]["resourceVersion"] = "7"
        return found

    world.kube.get_secret = stale  # type: ignore[method-assign]
    assert not await world.own.look()
    assert world.kube.bundle == ""
    world.kube.get_secret = real  # type: ignore[method-assign]
    assert await world.own.look()


async def test_with_cert_manager_only_the_namespaces_are_kept() -> None:
    """Its CA stays as its injector wrote it."""
    world = World(Installation(HERE.namespace, HERE.name, keeps_certificates=False))
    world.kube.entry["clientConfig"]["caBundle"] = "theirs"
    assert await world.own.look()
    assert world.kube.entry["clientConfig"]["caBundle"] == "theirs"
    assert world.kube.entry["namespaceSelector"] == wanted_selector({"ml"})
    assert world.kube.writes == ["apply sidelight-summary-key", "apply configuration"]


async def test_keys_and_tokens_are_nowhere_but_in_their_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in a log or an Event."""
    caplog.set_level("DEBUG")
    world = World()
    await world.own.look()
    token = world.own.tokens("uid", world.now).send
    told = json.dumps(world.kube.events) + caplog.text + json.dumps(_extras(caplog))
    assert token not in told
    for secret in world.kube.secrets.values():
        for name, value in secret["data"].items():
            if name in ("current", "ca.key", "tls.key"):
                assert value not in told
                assert base64.b64decode(value).decode(errors="replace") not in told


def _extras(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [str(vars(record)) for record in caplog.records]


async def test_outside_a_cluster_there_is_nothing_to_keep() -> None:
    """Tokens work all the same."""
    kube = Kube()
    own = OwnObjects(kube, None, clock=lambda: NOW, metrics=Metrics())
    assert await own.look()
    assert own.kept
    assert kube.writes == []
    assert own.tokens("uid", NOW).send
