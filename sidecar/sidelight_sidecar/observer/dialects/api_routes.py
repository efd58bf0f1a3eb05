"""Routes of the APIs that many servers speak: OpenAI's, Anthropic's, Ollama's, TGI's.

See `routes` for what the tables mean. OpenAI's resources are found at the end of a path, since
servers and gateways put them under `/v1`, `/openai/v1` (KServe, Groq), `/api/v1`, `/inference/v1`,
`/openai/deployments/NAME` (Azure) and more.
"""

import re

from sidelight_sidecar.observer.dialects.base import Dialect
from sidelight_sidecar.observer.dialects.openai import OpenAI
from sidelight_sidecar.observer.dialects.route import Route

_CHAT = Route("chat", OpenAI, generating=True)
_COMPLETIONS = Route("text_completion", OpenAI, generating=True)

EXACT: dict[str, Route] = {
    "POST /v1/chat/completions": _CHAT,
    "POST /v1/completions": _COMPLETIONS,
}
_PREFIX = r"POST (?:/[^/]+)*?"
_VERSIONED = r"POST (?:/[^/]+)*?(?:/v[0-9]+[a-z0-9]*|/openai|/deployments/[^/]+)"
PATTERNS: tuple[tuple[re.Pattern[str], Route], ...] = (
    (re.compile(_PREFIX + "/chat/completions"), _CHAT),
    (re.compile(_VERSIONED + "/completions"), _COMPLETIONS),
)
SHARED: dict[str, tuple[str, tuple[type[Dialect], ...]]] = {}
