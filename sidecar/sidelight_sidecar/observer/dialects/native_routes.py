"""Routes of what single engines have of their own: llama.cpp, SGLang, Triton, KServe, and others.

See `routes` for what the tables mean.
"""

import re

from sidelight_sidecar.observer.dialects.base import Dialect
from sidelight_sidecar.observer.dialects.route import Route

EXACT: dict[str, Route] = {}
PATTERNS: tuple[tuple[re.Pattern[str], Route], ...] = ()
SHARED: dict[str, tuple[str, tuple[type[Dialect], ...]]] = {}
