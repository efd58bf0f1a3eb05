"""`sidelight inject`: the webhook's decision, offline."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.cli.workloads import NoPodError, pods_of
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
        "--namespace-object", action="append", default=[], metavar="FILE",
        help="LimitRange or ResourceQuota of the pod's namespace, or a list of them; may be given "
        "again",
    )  # fmt: skip
    parser.add_argument(
        "--pull-secret", action="append", default=[], metavar="NAME",
        help="Secret that the sidecar image's registry asks for; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--allow-unsafe-visible-all", action="store_true",
        help="the installation allows it (chart value gpu.allowUnsafeVisibleAll)",
    )  # fmt: skip
    parser.add_argument(
        "--nvml-memory", default="64Mi", metavar="QUANTITY",
        help="more memory for reading the driver (chart value gpu.nvmlMemory)",
    )  # fmt: skip
    parser.add_argument(
        "--no-native-sidecar", action="store_true",
        help="the cluster is older than Kubernetes 1.29",
    )  # fmt: skip
    parser.add_argument(
        "--sidecar-image", default="localhost/sidelight-sidecar:dev", help="image to inject"
    )


def run(options: argparse.Namespace) -> int:
    """0: printed; 1: no pod is injected, and why; 2: an input cannot be used."""
    try:
        models = [_model(path) for path in options.model]
        decisions = inject(_load(options.file), models, _facts(options), _settings(options))
    except (InputError, NoPodError) as error:
        print(f"sidelight: {error}", file=sys.stderr)
        return 2
    patched = [one.patched for _, one in decisions if one.patched is not None]
    for role, decision in decisions:
        if decision.patched is None:
            which = f"{role}: " if role else ""
            print(f"{which}{decision.reason}: {decision.message}", file=sys.stderr)
        else:
            _say_what_is_not_read(decision)
    yaml.safe_dump_all(patched, sys.stdout, sort_keys=False)
    return 0 if patched else 1


def _say_what_is_not_read(decision: Decision) -> None:
    if decision.weights:
        print(f"weights are not read: {decision.weights_message}", file=sys.stderr)
    if decision.gpu:
        print(f"GPUs are not read: {decision.gpu}: {decision.gpu_message}", file=sys.stderr)


def inject(
    resource: dict[str, Any],
    models: list[ObservedModelView],
    namespace: NamespaceFacts,
    settings: InjectionSettings,
) -> list[tuple[str, Decision]]:
    """Decide about a Pod, or about each pod that a workload's templates make.

    Raises:
        NoPodError: there is none in it.
    """
    return [(role, decide(pod, namespace, models, settings)) for role, pod in pods_of(resource)]


def _settings(options: argparse.Namespace) -> InjectionSettings:
    return InjectionSettings(
        options.sidecar_image,
        nvml_memory=options.nvml_memory,
        allow_unsafe_visible_all=options.allow_unsafe_visible_all,
        native_sidecar=not options.no_native_sidecar,
        pull_secrets=tuple(options.pull_secret),
    )


def _facts(options: argparse.Namespace) -> NamespaceFacts:
    found = [_load(path) for path in options.namespace_object]
    objects = [
        item for one in found for item in (one.get("items") or () if _is_list(one) else [one])
    ]
    return NamespaceFacts(
        labels=dict(_pair(text) for text in options.namespace_label),
        limit_ranges=[one for one in objects if one.get("kind") == "LimitRange"],
        quotas=[one for one in objects if one.get("kind") == "ResourceQuota"],
    )


def _is_list(body: dict[str, Any]) -> bool:
    """What `kubectl get` prints for more than one."""
    return str(body.get("kind")).endswith("List")


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
