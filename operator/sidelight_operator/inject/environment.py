"""A container's environment, as far as its pod tells: what the kubelet puts into `$(NAME)`."""

import re
from collections.abc import Mapping

from sidelight_operator.inject.types import Json

REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
"""`$$` is how a dollar is written that begins no reference."""
POD_IP = "status.podIP"
_LABEL = re.compile(r"metadata\.labels\['([^']+)'\]")


class Environment:
    """The variables of one container.

    Attributes:
        hidden: some come from a ConfigMap or Secret as a whole (`envFrom`), with names unknown.
    """

    def __init__(self, container: Json, labels: Mapping[str, str] | None = None) -> None:
        self._labels = labels or {}
        self._entries: dict[str, Json] = {}
        self._values: dict[str, str | None] = {}
        self.hidden = bool(container.get("envFrom"))
        for entry in container.get("env") or ():
            name = str(entry.get("name", ""))
            value = self._value(entry)
            self._entries[name], self._values[name] = entry, value

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def literal(self, name: str) -> str | None:
        """The value, when the pod itself says it; None when it does not."""
        return self._values.get(name)

    def field(self, name: str) -> str:
        """The path of the pod's field that a variable takes its value from."""
        source = self._entries.get(name, {}).get("valueFrom") or {}
        return str((source.get("fieldRef") or {}).get("fieldPath", ""))

    def expand(self, text: str) -> str | None:
        """`text` with its references put in; None when one of them is not known. The kubelet
        leaves a reference to nothing as it is.
        """
        parts, last = [], 0
        for found in REFERENCE.finditer(text):
            parts.append(text[last : found.start()])
            last = found.end()
            put = "$" if found[1] is None else self.referred(found[1])
            if put is None:
                return None
            parts.append(put)
        return "".join([*parts, text[last:]])

    def referred(self, name: str) -> str | None:
        """What the kubelet puts in for `$(name)`; None when that is not known."""
        if name in self:
            return self._values[name]
        return None if self.hidden else f"$({name})"

    def _value(self, entry: Json) -> str | None:
        if "valueFrom" not in entry:
            return self.expand(str(entry.get("value") or ""))
        source = entry.get("valueFrom") or {}
        path = str((source.get("fieldRef") or {}).get("fieldPath", ""))
        label = _LABEL.fullmatch(path)
        return self._labels.get(label[1]) if label else None
