"""The real cluster for the tests here: one for the session, a namespace for each test."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster_client import ROOT, Cluster, run, wait_until

PROVIDER = str(ROOT / "hack/cluster/provider.sh")
REQUIRED = os.environ.get("CI") == "true" or bool(os.environ.get("SIDELIGHT_REQUIRE_CLUSTER"))


def pytest_collection_modifyitems(items):
    """Everything in this folder needs the cluster, and may take its time."""
    for item in items:
        if Path(__file__).parent in Path(str(item.path)).parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(420))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster, up, with the three images; skipped with its reason where it cannot run."""
    can_run = subprocess.run([PROVIDER, "can-run"], capture_output=True, text=True, check=False)
    if can_run.returncode and not REQUIRED:
        pytest.skip(can_run.stderr.strip())
    was_up = Path(run(PROVIDER, "kubeconfig").strip()).exists()
    run(PROVIDER, "up", timeout=3000)
    run(str(ROOT / "hack/wheels.sh"), timeout=600)
    images = run(str(ROOT / "hack/images.sh"), timeout=1200).split()
    run(PROVIDER, "load-image", *images, timeout=300)
    tools = run(str(ROOT / "hack/tools.sh"), timeout=300).strip()
    yield Cluster(run(PROVIDER, "kubeconfig").strip(), tools)
    if not was_up and not os.environ.get("SIDELIGHT_KEEP_CLUSTER"):
        run(PROVIDER, "down", timeout=120)


@contextmanager
def own_namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace with its default service account, removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl(
        "wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=30s"
    )
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with own_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def common_namespace(cluster: Cluster) -> Iterator[str]:
    """One for all tests of a file."""
    with own_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def crd(cluster: Cluster) -> Iterator[Cluster]:
    """The resource's definition alone: no webhook, no controller but the test's."""
    definition = str(ROOT / "crds/observedmodels.yaml")
    cluster.kubectl("apply", "--server-side", "--filename", definition)
    established = ("wait", "--for=condition=Established", "crd/observedmodels.sidelight.dev")
    # kubectl fails at once where there are no conditions yet.
    wait_until(lambda: cluster.kubectl(*established), 20, "the definition established")
    yield cluster
    cluster.kubectl("delete", "crd", "observedmodels.sidelight.dev")
