"""The demo: a real model on a real cluster, observed from end to end. `make demo` runs it.

Says what it does before it does it; every step may be repeated. `down` removes every trace.
"""

import concurrent.futures
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROVIDER = str(ROOT / "hack/cluster/provider.sh")
PREFIX = os.environ.get("SIDELIGHT_IMAGE_PREFIX", "localhost")
NAMESPACE = "llm-demo"
RELEASE = "sidelight"
RELEASE_NAMESPACE = "sidelight-system"
QUESTIONS = ["Say hi.", "Name a colour.", "What is two plus two?", "Name a river.", "Say goodbye."]


def step(text: str) -> None:
    """Say what comes next."""
    print(f"\n\033[1m==> {text}\033[0m", flush=True)


def run(*command: str, quiet: bool = False, stdin: str | None = None) -> str:
    """Run a command that must succeed; its progress goes to the terminal, its answer comes back."""
    if not quiet:
        print("    $", Path(command[0]).name, *command[1:], flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, input=stdin, check=False)
    if done.returncode:
        sys.exit(f"demo: this failed (exit {done.returncode}): {' '.join(command)}\n{done.stdout}")
    return done.stdout


def set_up_tools() -> None:
    """Put kubectl and helm first on PATH, and point them at the cluster."""
    os.environ["KUBECONFIG"] = run(PROVIDER, "kubeconfig", quiet=True).strip()
    tools = run(str(ROOT / "hack/tools.sh"), quiet=True).strip()
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    os.environ["KUBECACHEDIR"] = f"{tools}/kubectl-cache"  # and nothing is left in ~/.kube


def install() -> None:
    """Bring up the cluster with the images, and the chart in it."""
    step("A Kubernetes cluster (the first time this compiles Kubernetes: 5 to 15 minutes)")
    run(PROVIDER, "up")
    set_up_tools()
    step("Images: Sidelight's operator and sidecar, and the example's llama.cpp server")
    run(str(ROOT / "hack/wheels.sh"))
    images = run(str(ROOT / "hack/images.sh")).split()
    run(PROVIDER, "load-image", *images, quiet=True)
    step("Sidelight, with Helm")
    run(
        "helm", "upgrade", "--install", RELEASE, str(ROOT / "helm/sidelight"),
        "--namespace", RELEASE_NAMESPACE, "--create-namespace", "--wait", "--timeout", "120s",
        "--set", f"image.operator.repository={PREFIX}/sidelight-operator",
        "--set", f"image.sidecar.repository={PREFIX}/sidelight-sidecar",
        "--set", "image.operator.tag=dev", "--set", "image.sidecar.tag=dev",
    )  # fmt: skip
    run("kubectl", "--namespace", RELEASE_NAMESPACE, "get", "pods")


def deploy() -> None:
    """Start the model as its owners would, then ask Sidelight to observe it."""
    step("A real LLM server: an ordinary Deployment and Service that know nothing of Sidelight")
    namespace = json.dumps(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    run("kubectl", "apply", "-f", "-", stdin=namespace)
    run("kubectl", "-n", NAMESPACE, "apply", "-f", str(ROOT / "examples/llm.yaml"))
    run("kubectl", "-n", NAMESPACE, "rollout", "status", "deployment/chat", "--timeout=120s")
    step("Observe it: apply examples/observedmodel.yaml, and restart the pods once")
    run("kubectl", "-n", NAMESPACE, "apply", "-f", str(ROOT / "examples/observedmodel.yaml"))
    run(
        "kubectl", "-n", NAMESPACE, "wait", "observedmodel/chat", "--timeout=60s",
        "--for=jsonpath={.status.pods.selected}",
    )  # fmt: skip
    print(run("kubectl", "-n", NAMESPACE, "get", "om", "chat"))
    run("kubectl", "-n", NAMESPACE, "rollout", "restart", "deployment/chat")
    run("kubectl", "-n", NAMESPACE, "rollout", "status", "deployment/chat", "--timeout=120s")
    # A pod that ends takes what it counted with it: wait until only the new one is left.
    count = ("kubectl", "-n", NAMESPACE, "get", "pods", "-l", "app=chat", "-o", "name")
    deadline = time.monotonic() + 60
    while len(run(*count, quiet=True).split()) > 1 and time.monotonic() < deadline:
        time.sleep(0.5)
    print(run("kubectl", "-n", NAMESPACE, "get", "pods", "-l", "app=chat"))


def body(number: int, *, stream: bool) -> dict[str, object]:
    """One chat request."""
    request: dict[str, object] = {
        "model": "smollm2",
        "messages": [{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}],
        "max_tokens": 16,
        "stream": stream,
    }
    if stream:
        request["stream_options"] = {"include_usage": True}
    return request


def ask(address: str, number: int) -> str:
    """Send request `number` of 30 through the Service; say how it ended."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        if number == 28:  # a prompt that does not fit
            request = body(number, stream=False)
            request["messages"] = [{"role": "user", "content": "word " * 4000}]
            return _send(connection, request)
        if number == 29:  # a client that loses patience
            request = {**body(number, stream=True), "max_tokens": 400}
            connection.request("POST", "/v1/chat/completions", json.dumps(request))
            connection.getresponse().read(600)
            return "hung up midway"
        return _send(connection, body(number, stream=number % 2 == 0))
    finally:
        connection.close()


def _send(connection: http.client.HTTPConnection, request: dict[str, object]) -> str:
    connection.request("POST", "/v1/chat/completions", json.dumps(request))
    response = connection.getresponse()
    response.read()
    return f"HTTP {response.status}"


def send_requests() -> None:
    """30 chat requests, four at a time."""
    step("30 chat requests: streamed and not, one too long, one client that hangs up midway")
    path = "jsonpath={.spec.clusterIP}"
    address = run("kubectl", "-n", NAMESPACE, "get", "service", "chat", "-o", path, quiet=True)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: ask(address, number), range(30)))
    for answer in sorted(set(answers)):
        print(f"    {answers.count(answer):3} x {answer}")


def _status() -> dict[str, object]:
    found = json.loads(
        run("kubectl", "-n", NAMESPACE, "get", "om", "chat", "-o", "json", quiet=True)
    )
    status: dict[str, object] = found.get("status", {})
    return status


def agreement() -> str:
    """The condition MetricsAgree, waited for: it needs a reading after the last request."""
    said = "not yet known"
    for _ in range(45):
        for condition in _status().get("conditions") or []:  # type: ignore[attr-defined]
            if condition["type"] == "MetricsAgree":
                said = f"MetricsAgree is {condition['status']}: {condition['message']}"
                if condition["status"] != "Unknown":
                    return said
        time.sleep(1)
    return said


def show() -> None:
    """Wait until the status has them, and show what Sidelight knows."""
    step("What Sidelight saw (the controller asks the sidecars every 10 seconds)")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        versions = _status().get("versions") or []
        if versions and versions[0]["requests"] >= 30:  # type: ignore[index]
            break
        time.sleep(1)
    else:
        sys.exit("demo: the status did not show 30 requests within 90 s; see kubectl describe om")
    print(run("kubectl", "-n", NAMESPACE, "get", "om"))
    print(json.dumps(_status()["versions"], indent=2))
    step("Whether the engine's own counters say the same (read when it has come to rest)")
    print(f"    {agreement()}")
    step("The sidecar's own metrics")
    pod = run(
        "kubectl", "-n", NAMESPACE, "get", "pods", "-l", "sidelight.dev/injected=true",
        "-o", "jsonpath={.items[0].status.podIP}", quiet=True,
    )  # fmt: skip
    connection = http.client.HTTPConnection(pod, 15020, timeout=10)
    connection.request("GET", "/metrics")
    wanted = ("time_to_first_token_seconds_", "time_per_output_token_seconds_",
              "sidelight_requests_total", "request_errors_total", "tokens_total")  # fmt: skip
    for line in connection.getresponse().read().decode().splitlines():
        if any(name in line for name in wanted) and "_bucket" not in line and line[0] != "#":
            print(f"    {line}")
    step("Try next")
    tools = os.environ["PATH"].split(":")[0]
    print(f"""    export KUBECONFIG={os.environ["KUBECONFIG"]} PATH={tools}:$PATH
    kubectl -n {NAMESPACE} describe om chat
    .venv/bin/sidelight autopsy chat -n {NAMESPACE}
    kubectl -n {NAMESPACE} scale deployment/chat --replicas 2
    kubectl -n {NAMESPACE} get om --watch
    make demo-down""")


def remove() -> None:
    """Remove the cluster; from one that is not the demo's own, all that the demo put there."""
    if run(PROVIDER, "name", quiet=True).strip() != "given":
        step("Removing the demo and its cluster")
        run(PROVIDER, "down")
        return
    step("Removing the demo from your cluster")
    set_up_tools()
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found")
    run("helm", "uninstall", RELEASE, "--namespace", RELEASE_NAMESPACE, "--ignore-not-found")
    run("kubectl", "delete", "namespace", RELEASE_NAMESPACE, "--ignore-not-found")
    crd = ("crd", "observedmodels.sidelight.dev")
    if run("kubectl", "get", *crd, "--ignore-not-found", "-o", "name", quiet=True):
        if others := run(
            "kubectl", "get", "observedmodels", "-A", "-o", "name", quiet=True
        ).split():
            print(f"    kept: the definition of ObservedModel, for {len(others)} others use it")
        else:
            run("kubectl", "delete", *crd)


def main() -> None:
    """`demo.py` runs it all; `demo.py down` removes it."""
    if sys.argv[1:] == ["down"]:
        remove()
        return
    started = time.monotonic()
    install()
    deploy()
    send_requests()
    show()
    print(f"\nDone in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
