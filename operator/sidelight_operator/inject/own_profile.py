"""A profile that a user wrote into `spec.engine.profile`, as the table's own are."""

from sidelight_contract.engines import EngineProfile, EngineType
from sidelight_contract.spec import Engine


def own_profile(engine: Engine) -> EngineProfile | None:
    """The spec's own profile; None when it has none."""
    own = engine.profile
    if own is None:
        return None
    return EngineProfile(
        type=EngineType.GENERIC,
        default_port=own.default_port,
        images=tuple(own.images),
        programs=tuple(own.programs),
        entrypoint="",
        port_flags=tuple(filter(None, (own.port_flag,))),
        port_variables=tuple(filter(None, (own.port_variable,))),
        host_flags=tuple(filter(None, (own.host_flag,))),
        metrics_port=own.metrics_port,
        metrics_path=own.metrics_path,
    )
