"""`make pods PODS=folder`: inject real pods in every mode, beside what a reader said of them.

The folder has an `index.jsonl`, an object for each pod (`file`, `engine`, `serving_port`,
`takeover_possible`), and the pods. With `--kubeconfig` each result is put to an API server, which
tries it and keeps nothing (`dryRun=All`); `support/prerequisites.yaml` of the folder is there
meanwhile. Ends with 1 when one injection is wrong, not idempotent, or not accepted.
"""

import argparse
import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pods_rules import Judged, disagreement, faults

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

LABEL = {"sidelight.dev/pods-try": "yes"}
MODES = ("Auto", "Redirect", "PortTakeover", "NamedPort", "Tap", "Generic")
"""The last one: as a user would write it for a server that is not known, with its port."""
SETTINGS = InjectionSettings("localhost/sidelight-sidecar:dev")


def main() -> int:
    """Print the table; say whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kubeconfig", help="also ask this cluster's API server")
    parser.add_argument("--kubectl", default="kubectl", help="the program to ask it with")
    parser.add_argument("--namespace-label", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    facts = NamespaceFacts(dict(text.split("=", 1) for text in options.namespace_label))
    tried = list(_tried(options.folder, facts))
    refused: dict[str, str] = {}
    if options.kubeconfig:
        kubectl = [options.kubectl, "--kubeconfig", options.kubeconfig]
        with _prerequisites(kubectl, options.folder / "support/prerequisites.yaml"):
            refused = _ask_server(kubectl, tried)
    return _report(tried, refused, asked=bool(options.kubeconfig))


class Try:
    """One pod in one mode."""

    def __init__(self, judged: Judged, mode: str, number: int, pod: Any, facts: Any) -> None:
        self.judged, self.mode = judged, mode
        self.name = f"try-{number}-{mode.lower()}"
        self.decision = _decided(pod, self._spec(), facts)
        patched = self.decision.patched
        self.faults = list(faults(judged, self.decision)) if patched else []
        if patched and _decided(patched, self._spec(), facts).patched != patched:
            self.faults.append("injecting twice is not injecting once")

    def _spec(self) -> dict[str, Any]:
        if self.mode != "Generic":
            return {"interception": {"mode": self.mode}}
        return {"engine": {"type": "Generic", "port": str(self.judged.port)}}

    def for_server(self) -> Any:
        """The injected pod under a name of its own."""
        pod = copy.deepcopy(self.decision.patched)
        pod["metadata"] = {**pod["metadata"], "name": self.name}
        pod["metadata"].pop("generateName", None)
        return pod


def _tried(folder: Path, facts: NamespaceFacts) -> Iterator[Try]:
    for number, line in enumerate((folder / "index.jsonl").read_text().splitlines()):
        entry = json.loads(line)
        judged = Judged(
            entry["file"], entry["engine"], entry["serving_port"], entry["takeover_possible"]
        )
        path = folder / entry["file"]
        pod = yaml.safe_load(path.read_text(encoding="utf-8"))
        labels = pod.setdefault("metadata", {}).get("labels") or {}
        pod["metadata"]["labels"] = {**labels, **LABEL}
        for mode in MODES if judged.port else MODES[:-1]:
            yield Try(judged, mode, number, pod, facts)


def _decided(pod: Any, spec: dict[str, Any], facts: NamespaceFacts) -> Decision:
    spec = {"selector": {"matchLabels": LABEL}, **spec}
    view = ObservedModelView("pods", ObservedModelSpec.model_validate(spec))
    return decide(pod, facts, [view], SETTINGS)


@contextmanager
def _prerequisites(kubectl: list[str], path: Path) -> Iterator[None]:
    """What the pods refer to is there for the length of a block; what was there before stays."""
    made = []
    if path.exists():
        for body in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            done = _run([*kubectl, "create", "-f", "-"], yaml.safe_dump(body))
            if done.returncode == 0:
                made.append(body)
            elif "AlreadyExists" not in done.stderr:
                print(done.stderr, file=sys.stderr)
    try:
        yield
    finally:
        for body in reversed(made):
            _run([*kubectl, "delete", "--wait=false", "-f", "-"], yaml.safe_dump(body))


def _ask_server(kubectl: list[str], tried: list[Try]) -> dict[str, str]:
    """The pods that the API server refuses, and why."""
    refused: dict[str, str] = {}
    for one in tried:
        if one.decision.patched is None:
            continue
        pod = one.for_server()
        namespace = pod["metadata"].setdefault("namespace", "default")
        path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
        done = _run([*kubectl, "create", "--raw", path, "-f", "-"], json.dumps(pod))
        if done.returncode:
            refused[one.name] = " ".join(done.stderr.split())[:300]
    return refused


def _run(command: list[str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=300, check=False
    )


def _report(tried: list[Try], refused: dict[str, str], *, asked: bool) -> int:
    counts: Counter[str] = Counter()
    for one in tried:
        result = "injected" if one.decision.patched else str(one.decision.reason)
        marks = [f"WRONG: {fault}" for fault in one.faults]
        if one.name in refused:
            marks.append(f"NOT ACCEPTED: {refused[one.name]}")
        if not marks and (note := disagreement(one.judged, one.mode, one.decision)):
            marks.append(f"refused: {note}")
            counts["refused where the reader thought it possible"] += 1
        counts["wrong"] += bool(one.faults)
        counts["not accepted"] += one.name in refused
        counts["injected"] += one.decision.patched is not None
        counts["left alone"] += one.decision.patched is None
        mode = one.decision.mode.value if one.decision.mode else "-"
        print(
            f"{one.judged.file:44} {one.judged.engine:9} {one.judged.port or '-':>5} "
            f"{one.mode:12} {mode:12} {result:24} {'; '.join(marks)}"
        )
    if not asked:
        del counts["not accepted"]
    print("\n" + ", ".join(f"{what}: {count}" for what, count in counts.items()))
    return 1 if counts["wrong"] or counts["not accepted"] else 0


if __name__ == "__main__":
    sys.exit(main())
