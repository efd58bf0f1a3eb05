"""Tools that a request offers, as OpenTelemetry's schema has them."""

from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json


def definitions(request: Object) -> list[Json]:
    """The tools of a request; what is no function stays as it is."""
    tools = request.get("tools") or request.get("functions")
    if not isinstance(tools, list):
        return []
    return [_definition(one) for one in tools if isinstance(one, dict)]


def _definition(tool: Object) -> Object:
    function = tool.get("function")
    inner = function if isinstance(function, dict) else tool
    parameters = inner.get("parameters", inner.get("input_schema"))
    if tool.get("type", "function") not in ("function", "custom") or "name" not in inner:
        return dict(tool)
    result: Object = {"type": "function", "name": inner["name"]}
    if "description" in inner:
        result["description"] = inner["description"]
    if parameters is not None:
        result["parameters"] = parameters
    return result
