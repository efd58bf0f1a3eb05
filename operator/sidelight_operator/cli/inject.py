"""`sidelight inject`: the webhook's decision, offline."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)

_EXAMPLE = """example:
  sidelight inject -f pod.yaml -m observedmodel.yaml
  kubectl get deployment chat -o yaml | sidelight inject -f - -m observedmodel.yaml"""


class InputError(ValueError):
    """A file that cannot be used; the message says which and why."""


def add_parser(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "inject",
        help="print a pod, or a workload's pod, as the webhook would make it",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-f", "--file", required=True, help="pod or workload; - reads it from stdin"
    )
    parser.add_argument(
        "-m", "--model", required=True, action="append", help="ObservedModel; may be given again"
    )
    parser.add_argument(
        "--namespace-label", action="append", default=[], metavar="KEY=VALUE",
        help="label of the pod's namespace, such as its Pod Security level",
    )  # fmt: skip
    parser.add_argument(
        "--sidecar-image", default="localhost/sidelight-sidecar:dev", help="image to inject"
    )


def run(options: argparse.Namespace) -> int:
    """0: printed; 1: the pod is left alone, and why; 2: an input cannot be used."""
    try:
        labels = dict(_pair(text) for text in options.namespace_label)
        models = [_model(path) for path in options.model]
        resource = _load(options.file)
        decision = inject(
            resource, models, NamespaceFacts(labels), InjectionSettings(options.sidecar_image)
        )
    except InputError as error:
        print(f"sidelight: {error}", file=sys.stderr)
        return 2
    if decision.patched is None:
        print(f"{decision.reason}: {decision.message}", file=sys.stderr)
        return 1
    yaml.safe_dump(decision.patched, sys.stdout, sort_keys=False)
    return 0


def inject(
    resource: dict[str, Any],
    models: list[ObservedModelView],
    namespace: NamespaceFacts,
    settings: InjectionSettings,
) -> Decision:
    """Decide about a Pod, or about the pod that a workload's template makes.

    Raises:
        InputError: it is neither.
    """
    if resource.get("kind") == "Pod":
        return decide(resource, namespace, models, settings)
    template = (resource.get("spec") or {}).get("template")
    if not isinstance(template, dict):
        raise InputError(
            f"kind {resource.get('kind')} has no pod in it; give a Pod, or a Deployment, "
            "StatefulSet, DaemonSet or Job"
        )
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    return decide(pod, namespace, models, settings)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"--namespace-label {text}: write it KEY=VALUE")
    return key, value


def _load(path: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: give one Kubernetes object")
    return found


def _model(path: str) -> ObservedModelView:
    found = _load(path)
    if found.get("kind") != "ObservedModel":
        raise InputError(f"{path}: kind is {found.get('kind')}, not ObservedModel")
    try:
        spec = ObservedModelSpec.model_validate(found.get("spec") or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: spec.{where}: {first['msg']}") from error
    return ObservedModelView((found.get("metadata") or {}).get("name", ""), spec)
