"""What an API call is counted as: by verb, resource and code, never by an object's name. Pure."""

from collections.abc import Callable

Observe = Callable[[str, str, int, float], None]
"""`(verb, resource, code, seconds)` of a call; code 0: the API server gave no answer."""


def resource_of(path: str) -> str:
    """The resource, with its subresource, that the path of a request is about: for
    `/api/v1/namespaces/a/pods/b/log` it is `pods/log`, for `/api/v1/namespaces/a` `namespaces`.
    """
    parts = path.partition("?")[0].strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    subresource = f"/{rest[2]}" if len(rest) > 2 else ""
    return f"{rest[0]}{subresource}" if rest else ""


def ignore(verb: str, resource: str, code: int, seconds: float) -> None:
    """Count nothing."""
