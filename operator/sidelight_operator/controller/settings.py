"""What the controller is started with: arguments, each with a twin in the environment."""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidelight_operator.controller.exporters import ExporterRule, parse_rules
from sidelight_operator.controller.installation import Installation
from sidelight_operator.options import flag


@dataclass(frozen=True, slots=True)
class Settings:
    """See the arguments' help."""

    http_port: int
    interval_seconds: float
    kubeconfig: str | None
    sidecar_image: str
    sidecar_pull_policy: str
    log_level: str
    installation: Installation | None = None
    """None: outside a cluster, Sidelight's own objects are not looked after."""
    allow_full_payloads: bool = False
    """Whether an ObservedModel may have payloads recorded as they pass."""
    allow_unsafe_visible_all: bool = False
    """Whether an ObservedModel may have sidecars see every GPU of their node."""
    nvml_memory: str = "64Mi"
    """More memory for a sidecar that reads GPUs' driver; as the webhook has it."""
    exporters: tuple[ExporterRule, ...] = ()
    """Which pods are exporters of GPU figures."""
    namespaces: tuple[str, ...] = ()
    """The only ones that are watched; none: all."""
    models_at_once: int = 8
    """Models in work at the same time: each holds one page of raw pods, a few MB."""
    sidecars_at_once: int = 64
    """Summaries being read at the same time, over all models: each may be up to 4 MB."""


def parse_settings(argv: list[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line, else from the environment, else their defaults.

    Exits with a usage message on a bad argument, as argparse does.
    """
    parser = argparse.ArgumentParser(
        prog="sidelight-operator controller",
        description="Collects what the sidecars saw and writes it to each ObservedModel's status.",
    )

    def add(flag: str, default: str, text: str, kind: Callable[[str], object] = str) -> None:
        variable = "SIDELIGHT_" + flag.strip("-").upper().replace("-", "_")
        value = environ.get(variable, default)
        parser.add_argument(flag, default=value, type=kind, help=f"{text} [{variable}]")

    add("--http-port", "8080", "port of /metrics, /healthz and /readyz", int)
    add("--interval", "10", "seconds between two rounds (default 10)", float)
    add("--kubeconfig", "", "kubeconfig file; empty: the pod's own service account")
    add("--sidecar-image", "", "image that the webhook injects")
    add("--sidecar-pull-policy", "IfNotPresent", "pull policy that the webhook injects")
    add("--namespace", "", "Sidelight's own namespace; empty: its own objects are left alone")
    add("--name", "sidelight", "the front of its own objects' names")
    add("--keep-certificates", "true", "make the webhook's certificates", flag)
    add("--keep-namespaces", "true", "tell the API server which namespaces to ask for", flag)
    add("--watch-namespaces", "", "the only namespaces to watch, with commas; empty: all", _names)
    add("--allow-full-payloads", "false", "let payloads be recorded unmasked", flag)
    add("--allow-unsafe-visible-all", "false", "let sidecars see every GPU of a node", flag)
    add("--nvml-memory", "64Mi", "more memory for a sidecar that reads GPUs' driver")
    add("--gpu-exporters", "[]", "which pods export GPU figures, as JSON", _exporters)
    add("--log-level", "INFO", "DEBUG, INFO, WARNING or ERROR")
    found = parser.parse_args(argv)
    if not found.interval > 0:
        parser.error("--interval must be more than 0 seconds")
    return Settings(
        http_port=found.http_port,
        interval_seconds=found.interval,
        kubeconfig=found.kubeconfig or None,
        sidecar_image=found.sidecar_image,
        sidecar_pull_policy=found.sidecar_pull_policy,
        log_level=found.log_level,
        installation=Installation(
            found.namespace, found.name,
            keeps_certificates=found.keep_certificates, keeps_namespaces=found.keep_namespaces,
        ) if found.namespace else None,
        allow_full_payloads=found.allow_full_payloads,
        allow_unsafe_visible_all=found.allow_unsafe_visible_all,
        nvml_memory=found.nvml_memory,
        exporters=found.gpu_exporters,
        namespaces=found.watch_namespaces,
    )  # fmt: skip


def _exporters(text: str) -> tuple[ExporterRule, ...]:
    try:
        return parse_rules(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
