"""How the APIs of LLM servers speak: one small module for each, behind one protocol (`base`)."""

from sidelight_sidecar.observer.dialects.routes import Route, route_of

__all__ = ["Route", "route_of"]
