"""Settings for all tests: no example of a property is failed for how long it took."""

import os

from hypothesis import settings

settings.register_profile(
    "sidelight", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None
)
settings.load_profile("sidelight")
