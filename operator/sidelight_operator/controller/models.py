"""An ObservedModel as the controller sees it: parsed where it can be, named where it cannot."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from sidelight_contract import names
from sidelight_contract.spec import ObservedModelSpec, Selector, SelectorOperator
from sidelight_operator.inject.breaker import open_breakers
from sidelight_operator.kube import Json

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Model:
    """One ObservedModel. `spec` is None when it does not parse; then `spec_error` says why."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    status: Json
    """As the API server has it now; `{}` before the first round."""
    spec: ObservedModelSpec | None
    spec_error: str = ""
    changed: datetime = _LONG_AGO
    """When the spec was last written."""

    @property
    def breaker(self) -> frozenset[str]:
        """Workloads that the circuit breaker keeps Sidelight out of, as the last round left it."""
        return open_breakers(self.status, self.generation)

    @property
    def key(self) -> str:
        """`namespace/name`, for logs."""
        return f"{self.namespace}/{self.name}"

    def reference(self) -> Json:
        """What an Event or an owner reference calls it."""
        return {
            "apiVersion": f"{names.GROUP}/{names.API_VERSION}",
            "kind": names.KIND,
            "name": self.name,
            "uid": self.uid,
        }


def parse_model(body: Json) -> Model:
    """The model in `body`, as the API server returns it."""
    metadata = body["metadata"]
    spec, error = None, ""
    try:
        spec = ObservedModelSpec.model_validate(body.get("spec", {}))
    except ValidationError as invalid:
        error = "; ".join(
            f"spec.{'.'.join(map(str, part['loc']))}: {part['msg']}"
            for part in invalid.errors(include_url=False, include_input=False)[:3]
        )
    return Model(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        created=parse_time(metadata["creationTimestamp"]),
        status=body.get("status") or {},
        spec=spec,
        spec_error=error,
        changed=_changed(metadata),
    )


def _changed(metadata: Json) -> datetime:
    """When the spec was last written; who wrote the status is noted apart."""
    writes = [
        parse_time(entry["time"])
        for entry in metadata.get("managedFields") or ()
        if "time" in entry and not entry.get("subresource")
    ]
    return max(writes, default=parse_time(metadata["creationTimestamp"]))


def selector_text(selector: Selector) -> str:
    """The selector as the API's `labelSelector` parameter."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for item in selector.match_expressions:
        values = ",".join(item.values)
        parts.append(
            {
                SelectorOperator.IN: f"{item.key} in ({values})",
                SelectorOperator.NOT_IN: f"{item.key} notin ({values})",
                SelectorOperator.EXISTS: item.key,
                SelectorOperator.DOES_NOT_EXIST: f"!{item.key}",
            }[item.operator]
        )
    return ",".join(parts)


def parse_time(text: str) -> datetime:
    """A Kubernetes timestamp (RFC 3339)."""
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> str:
    """A Kubernetes timestamp: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
