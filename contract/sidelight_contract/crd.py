"""The CustomResourceDefinition, generated from `spec.py` and `status.py`.

`python -m sidelight_contract.crd` prints it as YAML (JSON is YAML); `make generate` writes
`crds/` and the chart's copy, and a test fails when either is stale.
"""

import copy
import json
import sys
from typing import Any

from pydantic import BaseModel

from sidelight_contract import names
from sidelight_contract.spec import ObservedModelSpec
from sidelight_contract.status import ObservedModelStatus

PRINT_COLUMNS: list[dict[str, Any]] = [
    {"name": "Model", "type": "string", "jsonPath": ".status.versions[0].identity.servedModels[0]"},
    {"name": "Version", "type": "string", "jsonPath": ".status.versions[0].name"},
    {"name": "Observed", "type": "string", "jsonPath": ".status.pods.ratio"},
    {"name": "Req/s", "type": "string", "jsonPath": ".status.traffic.requestsPerSecond"},
    {
        "name": "TTFT-p95",
        "type": "string",
        "jsonPath": ".status.traffic.timeToFirstToken.p95",
    },
    {"name": "Tokens/s", "type": "string", "jsonPath": ".status.traffic.tokensPerSecond"},
    {"name": "GPU", "type": "string", "jsonPath": ".status.versions[0].gpu.utilization"},
    {"name": "Errors", "type": "string", "jsonPath": ".status.traffic.errorRatio"},
    {"name": "SLO", "type": "string", "jsonPath": ".status.slo.attainment"},
    {
        "name": "Tokens/J",
        "type": "string",
        "jsonPath": ".status.versions[0].gpu.tokensPerJoule",
        "priority": 1,
    },
    {
        "name": "Coverage",
        "type": "string",
        "jsonPath": ".status.versions[0].coverage",
        "priority": 1,
    },
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]

_KEEP = {
    "description", "type", "enum", "default", "format", "pattern", "items", "properties",
    "required", "additionalProperties", "minLength", "maxLength", "minItems", "maxItems",
    "minimum", "maximum", "minProperties", "maxProperties",
}  # fmt: skip


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The structural OpenAPI schema of `model`: references inlined, only what Kubernetes allows."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    result = _structural(schema, definitions)
    assert isinstance(result, dict)
    return result


def _structural(node: Any, definitions: dict[str, Any]) -> Any:
    if "$ref" in node:
        target = copy.deepcopy(definitions[node["$ref"].rsplit("/", 1)[1]])
        return _structural(
            {**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions
        )
    if "anyOf" in node:  # `X | None`: an absent field says None
        (some,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return _structural({**some, **rest}, definitions)
    kept = {k: v for k, v in node.items() if k in _KEEP or k.startswith("x-kubernetes-")}
    if "const" in node:
        kept["enum"] = [node["const"]]
    if kept.get("additionalProperties") is False:
        del kept["additionalProperties"]
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = _structural(kept[key], definitions)
    if "properties" in kept:
        absent = {name for name, value in kept["properties"].items() if "anyOf" in value}
        kept["properties"] = {
            name: _structural(value, definitions) for name, value in kept["properties"].items()
        }
        _apply_defaults(kept, absent)
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept


def _apply_defaults(model_schema: dict[str, Any], absent: set[str]) -> None:
    """Give optional objects a default made of their fields' own: the API server checks CEL rules
    on a default as it stands, and rules may then read every field without `has()`. None for those
    that say something by being `absent`.
    """
    required = set(model_schema.get("required", ()))
    for name, value in model_schema["properties"].items():
        if name in required or name in absent or "default" in value:
            continue
        if value.get("type") == "object" and "properties" in value and not value.get("required"):
            value["default"] = {
                key: part["default"]
                for key, part in value["properties"].items()
                if "default" in part
            }


def custom_resource_definition() -> dict[str, Any]:
    """The whole CustomResourceDefinition as a plain object."""
    schema = {
        "type": "object",
        "description": "ObservedModel: pods whose LLM traffic Sidelight observes.",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": "size(self.metadata.name) <= 50",
                "message": "the name of an ObservedModel may have at most 50 characters: it "
                "becomes a label and part of other names",
            }
        ],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(ObservedModelSpec),
            "status": structural(ObservedModelStatus),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": ["sidelight"],
            },
            "versions": [
                {
                    "name": names.API_VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": PRINT_COLUMNS,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def main() -> None:
    """Print the CustomResourceDefinition."""
    sys.stdout.write("# Generated by `make generate` from contract/; do not edit.\n")
    json.dump(custom_resource_definition(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
