"""How a configuration gets in force, wherever it comes from: a good one does, a bad one is said."""

import logging
from collections.abc import Callable

from sidelight_contract.config import ConfigError, SidecarConfig
from sidelight_sidecar.observer.pipeline import Pipeline

log = logging.getLogger("sidelight.observer")


def configure(pipeline: Pipeline, read: Callable[[], SidecarConfig | None]) -> str:
    """Put what is read in force; None is nothing new.

    Returns:
        Why it cannot be used, and the last good one stays; "" when nothing is wrong.
    """
    try:
        config = read()
    except ConfigError as error:
        pipeline.refuse_config(str(error))
        log.error("config_refused", extra={"fields": {"error": str(error)}})  # noqa: TRY400
        return str(error)
    if config is not None:
        pipeline.reconfigure(config)
        log.info("config_in_force", extra={"fields": {"revision": config.revision}})
    return ""
